//! The ledger and how it reaches a person: a live screen, or lines.

use std::sync::Arc;
use std::time::{Duration, Instant};

use simulate::Event;
use simulate::graph::Posting;

use super::ledger::{Ledger, Line, Mood};
use super::plain;
use super::screen::{self, Phase, Places};
use super::terminal::Terminal;
use crate::out;

/// An event, or how many were missed.
pub(super) type Told = Result<Event, u64>;

/// The ledger and how it's shown.
pub(super) struct Show {
    pub(super) ledger: Ledger,
    places: Places,
    pub(super) phase: Phase,
    pub(super) start: Instant,
    /// None for plain lines.
    terminal: Option<Terminal>,
}

impl Show {
    /// Takes the terminal, or greets.
    ///
    /// # Errors
    /// When stdout can't be written, here and below.
    pub(super) fn begin(places: Places, live: bool) -> anyhow::Result<Self> {
        let terminal = if live {
            Some(Terminal::enter()?)
        } else {
            out::answer(&plain::greeting(&places))?;
            None
        };
        Ok(Self { ledger: Ledger::new(), places, phase: Phase::Running, start: Instant::now(), terminal })
    }

    /// Shows what was posted to WhatsApp.
    pub(super) fn posted(&mut self, told: Result<Arc<Posting>, u64>) -> anyhow::Result<()> {
        let now = self.start.elapsed();
        match told {
            Ok(posting) => {
                let lines = self.ledger.posting(&posting, now);
                self.print(&lines)
            }
            Err(missed) => {
                self.ledger.missed(missed);
                Ok(())
            }
        }
    }

    pub(super) fn take(&mut self, told: Told) -> anyhow::Result<()> {
        let now = self.start.elapsed();
        match told {
            Ok(event) => {
                let lines = self.ledger.take(&event, now);
                self.print(&lines)
            }
            Err(missed) => {
                self.ledger.missed(missed);
                Ok(())
            }
        }
    }

    pub(super) fn unplugged(&mut self, lasts: Duration) -> anyhow::Result<()> {
        let line = self.ledger.unplugged(lasts, self.start.elapsed());
        self.print(&[line])
    }

    pub(super) fn plugged_in(&mut self) -> anyhow::Result<()> {
        let lines = self.ledger.plugged_in(self.start.elapsed());
        self.print(&lines)
    }

    pub(super) fn note(&mut self, text: &str) -> anyhow::Result<()> {
        let line = self.ledger.note(Mood::Trouble, text.to_owned(), self.start.elapsed());
        self.print(&[line])
    }

    fn print(&self, lines: &[Line]) -> anyhow::Result<()> {
        if self.terminal.is_none() && !lines.is_empty() {
            let now = self.start.elapsed();
            out::answer(&lines.iter().map(|line| plain::line(line, now)).collect::<String>())?;
        }
        Ok(())
    }

    pub(super) fn draw(&mut self) -> anyhow::Result<()> {
        if let Some(terminal) = &mut self.terminal {
            let size = Terminal::size();
            let screen = screen::screen(&self.places, &self.ledger, self.phase, self.start.elapsed(), size);
            terminal.draw(screen, size)?;
        }
        Ok(())
    }

    /// Gives the terminal back.
    pub(super) fn end(self) -> anyhow::Result<Ledger> {
        self.print(&self.ledger.unfinished())?;
        Ok(self.ledger)
    }
}
