//! The terminal while the live view has it: lines are rewritten in place, and everything is as it
//! was afterwards.

use std::io;

use rustix::termios::tcgetwinsize;

use super::screen::Size;
use crate::out;

/// Where neither the terminal nor the environment tells.
const USUAL: Size = Size { columns: 80, rows: 24 };

/// Another screen, so that what was there before comes back; no cursor, no wrapping of lines.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";
/// What stands between these two is shown at once, by terminals that know it.
const BEGIN: &str = "\x1b[?2026h";
const END: &str = "\x1b[?2026l";

/// The terminal, taken; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Terminal {
    shown: Vec<String>,
    size: Size,
}

impl Terminal {
    /// Takes the terminal.
    ///
    /// # Errors
    /// When stdout can't be written.
    pub(super) fn enter() -> io::Result<Self> {
        // A panic ends the program at once; what it says has to be seen.
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let _ = out::answer(LEAVE);
            before(panic);
        }));
        out::answer(ENTER)?;
        Ok(Self { shown: Vec::new(), size: Size { columns: 0, rows: 0 } })
    }

    /// Its size now.
    pub(super) fn size() -> Size {
        let told = tcgetwinsize(io::stdout()).ok();
        let told = told.map(|size| (usize::from(size.ws_col), usize::from(size.ws_row)));
        let named = |name| std::env::var(name).ok()?.parse().ok();
        let (columns, rows) = told.unwrap_or_default();
        Size {
            columns: Some(columns)
                .filter(|told| *told > 0)
                .or_else(|| named("COLUMNS"))
                .unwrap_or(USUAL.columns),
            rows: Some(rows).filter(|told| *told > 0).or_else(|| named("LINES")).unwrap_or(USUAL.rows),
        }
    }

    /// Shows these lines; only those that have changed are written.
    ///
    /// # Errors
    /// When stdout can't be written.
    pub(super) fn draw(&mut self, lines: Vec<String>, size: Size) -> io::Result<()> {
        let mut frame = String::new();
        if size != self.size {
            frame.push_str("\x1b[2J");
            self.shown.clear();
            self.size = size;
        }
        for (place, line) in lines.iter().enumerate() {
            if self.shown.get(place) != Some(line) {
                frame.push_str(&format!("\x1b[{};1H{line}\x1b[K", place + 1));
            }
        }
        if self.shown.len() > lines.len() {
            frame.push_str(&format!("\x1b[{};1H\x1b[J", lines.len() + 1));
        }
        self.shown = lines;
        if frame.is_empty() {
            return Ok(());
        }
        out::answer(&format!("{BEGIN}{frame}{END}"))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Who can't be written to any more has nothing to be put right.
        let _ = out::answer(LEAVE);
    }
}
