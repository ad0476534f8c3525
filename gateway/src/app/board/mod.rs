//! The gateway's part in the life of the box: a heartbeat for its watchdog, and the proof that a new version works.

mod gate;
mod heart;
mod probe;
mod self_test;

use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;

use board::{Board, BoardError, Code};
use model::signature::hub::AppSecret;
use store::{Counters, OpenError, Store};

use self::gate::Trial;
pub(crate) use self::heart::Opening;
pub(super) use self::heart::{Metrics, beat};
pub(super) use self::probe::Probe;
use self::self_test::Door;
pub(super) use self::self_test::SelfTest;
use super::secrets::OwnAppSecret;
use super::snapshot;

/// For a sign of life of the writer, while a version proves itself: as long as a webhook waits for the disk.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// After the supervisor couldn't say how the slots stand.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// What this process ought to be confined by, and isn't.
static UNCONFINED: OnceLock<Vec<String>> = OnceLock::new();

/// Notes, once, what this process ought to be confined by, and isn't: alarms for as long as it runs.
pub(crate) fn note_unconfined(missing: Vec<String>) {
    // A second word on it can only be the same.
    let _ = UNCONFINED.set(missing);
}

/// What was noted, for the alarms.
pub(super) fn unconfined() -> &'static [String] {
    UNCONFINED.get().map_or(&[], Vec::as_slice)
}

/// The machine below, where there is one.
#[derive(Debug, Clone)]
pub(super) struct Below {
    board: Option<Arc<dyn Board>>,
    /// This version stays: it is committed, or there are no slots.
    stays: bool,
}

impl Below {
    /// Asks how the running slot stands. One of which nobody can say so is taken for a trial.
    pub(super) async fn look(board: Option<Arc<dyn Board>>) -> Self {
        let stays = match &board {
            None => true,
            Some(board) => is_committed(board).await.unwrap_or_else(|error| {
                tracing::error!(%error, "the supervisor doesn't say whether this version is on trial: it is taken for one");
                false
            }),
        };
        Self { board, stays }
    }

    /// Whether the store is to be left in the format that it has.
    pub(super) const fn keep_format(&self) -> bool {
        !self.stays
    }

    /// The store can't be opened, and the process is about to end. Where that is a matter of versions, the other
    /// slot may do better.
    pub(super) async fn cannot_open(&self, error: &OpenError) {
        let Some(board) = self.board.clone() else { return };
        let why = error.to_string();
        let (what, done) = if matches!(error, OpenError::TooNew { .. }) {
            ("hand back", on_board(&board, move |board| board.hand_back(&why)).await)
        } else if matches!(error, OpenError::CannotKeep { .. }) {
            ("roll back", on_board(&board, move |board| board.roll_back(&why)).await)
        } else {
            return;
        };
        match done {
            Ok(()) => tracing::error!(%error, "asked to {what}: the other slot is started"),
            Err(refused) => tracing::error!(%error, %refused, "asked to {what}, and was refused"),
        }
    }

    /// Proves a version on trial, and commits it; returns at once where there is nothing to prove.
    pub(super) async fn prove(self, proof: Proof, stop: impl Future<Output = ()>) {
        let Some(board) = self.board.filter(|_| !self.stays) else { return };
        let proven = async {
            loop {
                match is_committed(&board).await {
                    Ok(true) => return,
                    Ok(false) => break,
                    Err(_) => tokio::time::sleep(ASK_AGAIN).await,
                }
            }
            tracing::warn!(
                "this version is on trial: it stays once it has put a webhook of its own on disk, and is well"
            );
            gate::pass(Candidate { board, probe: Probe::new(Arc::clone(&proof.store)), proof }).await;
        };
        tokio::select! {
            () = stop => {}
            () = proven => {}
        }
    }
}

/// What the proof is made with.
pub(super) struct Proof {
    pub(super) store: Arc<Store>,
    pub(super) self_test: Arc<SelfTest>,
    /// The public listener as it is bound.
    pub(super) address: std::net::SocketAddr,
    /// Where the same is served on loopback.
    pub(super) inside: Option<std::net::SocketAddr>,
    pub(super) path: String,
    /// Whose connections begin with a PROXY header.
    pub(super) relays: ingress::proxy::Relays,
    pub(super) tls: Option<ingress::Tls>,
    pub(super) app_secret: OwnAppSecret,
}

/// This version, on trial.
struct Candidate {
    board: Arc<dyn Board>,
    probe: Probe<Arc<Store>>,
    proof: Proof,
}

impl Trial for Candidate {
    async fn self_test(&mut self) -> Result<(), String> {
        let proof = &self.proof;
        let door = Door {
            address: proof.address,
            inside: proof.inside,
            path: proof.path.clone(),
            relays: proof.relays.clone(),
            tls: proof.tls.clone(),
        };
        let (own, secret) = (Arc::clone(&proof.self_test), Arc::clone(&proof.app_secret));
        let posted = tokio::task::spawn_blocking(move || {
            let secret = secret.read().unwrap_or_else(PoisonError::into_inner).clone();
            door.post(own.body()?, &AppSecret::new(secret.expose().as_bytes()))
        });
        posted.await.unwrap_or_else(|_| Err("the self-test panicked".to_owned()))
    }

    async fn look(&mut self) -> Result<(), String> {
        if self.probe.ask(ANSWER_WITHIN).await.is_none() {
            return Err("the store's writer doesn't answer".to_owned());
        }
        let store = Arc::clone(&self.proof.store);
        let health = tokio::task::spawn_blocking(move || store.health()).await;
        let health = health.map_err(|_| "the store can't be looked at".to_owned())?;
        if !snapshot::ready(&health) {
            return Err("the disk has refused too often".to_owned());
        }
        if health.fold_failing {
            return Err("the intake log can't be folded into the index".to_owned());
        }
        if new_damage(&health.counters) {
            return Err("damage was found in the store".to_owned());
        }
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), BoardError> {
        on_board(&self.board, |board| board.commit()).await
    }
}

/// It may be the disk's; it may as well be this version that can't read what the other one wrote. What a version that
/// stays couldn't read either says nothing about this one, or no update would ever be taken again.
const fn new_damage(counters: &Counters) -> bool {
    counters.holes + counters.damaged > counters.known
}

async fn is_committed(board: &Arc<dyn Board>) -> Result<bool, BoardError> {
    on_board(board, |board| board.about().map(|about| !about.on_trial())).await
}

/// Asks the board where it may block.
async fn on_board<T: Send + 'static>(
    board: &Arc<dyn Board>,
    ask: impl FnOnce(&dyn Board) -> Result<T, BoardError> + Send + 'static,
) -> Result<T, BoardError> {
    let board = Arc::clone(board);
    let asked = tokio::task::spawn_blocking(move || ask(&*board)).await;
    asked.unwrap_or_else(|_| Err(BoardError::new(Code::Protocol, "asking the board ended in a panic")))
}

#[cfg(test)]
mod tests;
