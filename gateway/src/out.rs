//! What the program prints: answers on stdout, talk on stderr.
//!
//! The one place that writes to the standard streams, so that a reader who has seen enough
//! (`wagate records | head`) ends the program quietly, and colour goes only where it's wanted.

use std::io::{self, IsTerminal, Write};

/// Writes an answer to stdout, as it is.
///
/// # Errors
/// When stdout can't be written; [`is_closed`] tells whether it's only that nobody reads on.
pub fn answer(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Writes a JSON answer to stdout, in lines for people's eyes and for `diff`.
///
/// # Errors
/// As [`answer`].
pub fn json(value: &serde_json::Value) -> io::Result<()> {
    answer(&format!("{value:#}\n"))
}

/// Says something on stderr, with a line break behind it. That nobody listens is no error.
pub fn talk(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Whether the other end of a pipe has been closed.
#[must_use]
pub fn is_closed(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// Whether answers are coloured: on a terminal that can, unless <https://no-color.org> is set.
#[must_use]
pub fn colour() -> bool {
    io::stdout().is_terminal() && colour_is_welcome()
}

/// The same for stderr.
#[must_use]
pub fn talk_colour() -> bool {
    io::stderr().is_terminal() && colour_is_welcome()
}

fn colour_is_welcome() -> bool {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
}
