//! Where a configuration may come from: folders that are there for a moment.

use std::path::Path;

/// The media of a box, in the order in which they are looked at.
pub trait Media: Send {
    /// Calls `look` once for each medium that is there, mounted for that long, the box's own partition first.
    fn each(&mut self, look: &mut dyn FnMut(&mut dyn Medium));
}

/// One of them.
pub trait Medium {
    /// What it's called in messages: `the card`, `the USB stick`.
    fn name(&self) -> &'static str;

    /// Its top folder.
    fn folder(&self) -> &Path;

    /// Whether it's the box's own partition, which it also writes the setup code to.
    fn own(&self) -> bool;

    /// Makes it possible to write to it; until then it's only read.
    ///
    /// # Errors
    /// When it's write-protected or damaged, in words for people.
    fn writable(&mut self) -> Result<(), String>;
}
