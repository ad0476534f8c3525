//! What a panic does: it ends the program, but for work that is contained.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::path::PathBuf;

thread_local! {
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// From now on a panic on any thread ends the process, once it has been told: a lost task must not
/// leave a live but deaf program behind, and a new start mends more than it costs.
pub(crate) fn end_the_process() {
    let before = take_hook();
    set_hook(Box::new(move |panic| {
        before(panic);
        if !CONTAINED.get() {
            std::process::abort();
        }
    }));
}

/// Does `work` on what strangers have sent, and returns `None` if it panics: a new start would meet
/// the same bytes again.
pub(crate) fn contained<T>(work: impl FnOnce() -> T) -> Option<T> {
    // Nobody sees what a panic leaves half-done: all that `work` makes is what it returns.
    catch_unwind(AssertUnwindSafe(|| containing(work))).ok()
}

/// The same for a caller that catches the panic itself.
pub(crate) fn containing<T>(work: impl FnOnce() -> T) -> T {
    /// What was before comes back on whatever way out.
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            CONTAINED.set(self.0);
        }
    }
    let _before = Before(CONTAINED.replace(true));
    work()
}

/// Notes panics over the index in the store's folder, beside whatever the hook before does.
pub(crate) fn note_those_of_the_index(store: PathBuf) {
    let before = take_hook();
    set_hook(Box::new(move |panic| {
        if panic.location().is_some_and(|location| location.file().contains("redb")) {
            // In a panic there is nobody left to tell.
            let _ = store::note_index_panic(&store);
        }
        before(panic);
    }));
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Command;

    use super::*;

    const CHILD: &str = "WAGATE_TEST_PANICS";
    const SIGABRT: i32 = 6;

    #[test]
    fn contained_work_fails_alone_and_any_other_panic_ends_the_process() {
        if std::env::var_os(CHILD).is_some() {
            end_the_process();
            assert_eq!(contained(|| -> u8 { panic!("contained") }), None);
            assert_eq!(contained(|| contained(|| 7)), Some(Some(7)));
            println!("still there");
            let _ = std::thread::spawn(|| panic!("lost")).join();
            println!("deaf");
            return;
        }
        let name = "panics::tests::contained_work_fails_alone_and_any_other_panic_ends_the_process";
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stdout);
        assert_eq!(child.status.signal(), Some(SIGABRT), "{said}");
        assert!(said.contains("still there") && !said.contains("deaf"), "{said}");
    }
}
