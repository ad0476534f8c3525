//! What a panic leaves behind for the next start.

use std::path::PathBuf;

/// Notes panics over the index in the store's folder, beside whatever the hook before did.
pub(super) fn note_those_of_the_index(store: PathBuf) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.location().is_some_and(|location| location.file().contains("redb")) {
            // In a panic there is nobody left to tell.
            let _ = store::note_index_panic(&store);
        }
        before(panic);
    }));
}
