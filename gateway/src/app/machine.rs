//! The machine below, where there is one: asked where that may take time, and what it last told of itself.

use std::sync::Arc;
use std::time::Duration;

use board::about::{SlotName, SlotState};
use board::{About, Board, BoardError, Code};
use serde_json::json;
use tokio::sync::watch;

use super::events::Events;

/// How often the machine is asked about itself: a question over a socket, which writes nothing.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The way to the machine; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    board: Option<Arc<dyn Board>>,
    about: watch::Sender<Option<About>>,
}

impl Machine {
    pub(crate) fn new(board: Option<Arc<dyn Board>>) -> Self {
        Self { board, about: watch::Sender::new(None) }
    }

    /// Whether there is one.
    pub(crate) const fn is_there(&self) -> bool {
        self.board.is_some()
    }

    /// The board itself, for a thread that may wait.
    ///
    /// # Errors
    /// [`Code::Unsupported`] without one.
    pub(crate) fn board(&self) -> Result<Arc<dyn Board>, BoardError> {
        const NONE: &str =
            "this machine has no slots of firmware: it is updated by the package that wagate came in";
        self.board.clone().ok_or_else(|| BoardError::new(Code::Unsupported, NONE))
    }

    /// Asks the board something, off the threads of the runtime.
    ///
    /// # Errors
    /// What the board refuses; [`Code::Unsupported`] without one.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&dyn Board) -> Result<T, BoardError> + Send + 'static,
    ) -> Result<T, BoardError> {
        let board = self.board()?;
        let asked = tokio::task::spawn_blocking(move || ask(&*board)).await;
        asked.unwrap_or_else(|error| {
            Err(BoardError::new(Code::Protocol, format!("asking the board failed: {error}")))
        })
    }

    /// What the machine says of itself now.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(crate) async fn about(&self) -> Result<About, BoardError> {
        let about = self.ask(|board| board.about()).await?;
        self.about.send_replace(Some(about.clone()));
        Ok(about)
    }

    /// What it said last, a few seconds ago; `None` without a machine, and before it has answered.
    pub(crate) fn known(&self) -> Option<About> {
        self.about.borrow().clone()
    }
}

/// The running slot and how far it is trusted: what people want to hear of when it changes.
fn standing(about: &About) -> Option<(SlotName, SlotState, String)> {
    about.running().map(|slot| (slot.name, slot.state, about.version.clone()))
}

/// Asks the machine about itself now and then; says when the version that runs has proved itself.
pub(super) async fn watch(machine: Machine, events: Events, stop: impl Future<Output = ()>) {
    if !machine.is_there() {
        return;
    }
    let looking = async {
        let mut failing = false;
        loop {
            let before = machine.known();
            match machine.about().await {
                Ok(about) => {
                    failing = false;
                    if let Some(before) = before {
                        say(&before, &about, &events);
                    }
                }
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(%error, "the machine doesn't say how it is");
                }
                Err(_) => {}
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::select! {
        () = stop => {}
        () = looking => {}
    }
}

fn say(before: &About, now: &About, events: &Events) {
    let (Some((_, was, _)), Some((slot, is, version))) = (standing(before), standing(now)) else { return };
    if was == SlotState::Trial && is == SlotState::Committed {
        tracing::info!(version, %slot, "the new version has proved itself, and stays");
        events.update(|| json!({ "stage": "committed", "version": version, "slot": slot }));
    }
}
