//! Writes down what becomes of the groups, in order.

use std::sync::Arc;
use std::time::Duration;

use model::Item;
use store::{Change, Refused, Store, Transaction};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::app::when_true;
use crate::clock;

/// Changes that wait for the disk. Groups change minutes apart.
const WAITING_MAX: usize = 64;
/// A disk that takes nothing now is asked again so much later.
const AGAIN: Duration = Duration::from_secs(5);

/// The way to the disk; clones share it.
#[derive(Debug, Clone)]
pub(super) struct Keeper(mpsc::Sender<(Change, Item)>);

impl Keeper {
    pub(super) fn start(store: Arc<Store>, stopped: watch::Receiver<bool>) -> (Self, JoinHandle<()>) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        (Self(sender), tokio::spawn(write(store, receiver, stopped)))
    }

    /// The state of a group, and the record that tells the CRM of it: both or none. Doesn't wait.
    pub(super) fn keep(&self, change: Change, item: Item) {
        if self.0.try_send((change, item)).is_err() {
            tracing::error!("the change of a group of endpoints isn't written down: the disk takes nothing");
        }
    }
}

async fn write(
    store: Arc<Store>,
    mut changes: mpsc::Receiver<(Change, Item)>,
    stopped: watch::Receiver<bool>,
) {
    loop {
        let next = tokio::select! {
            biased;
            next = changes.recv() => next,
            () = when_true(stopped.clone()) => changes.try_recv().ok(),
        };
        let Some((change, item)) = next else { return };
        while let Err(refused) = transact(&store, change.clone(), item.clone()).await {
            if *stopped.borrow() || refused == Refused::TooLarge {
                return;
            }
            tracing::debug!(%refused, "the change of a group of endpoints can't be written down yet");
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                () = when_true(stopped.clone()) => {}
            }
        }
    }
}

async fn transact(store: &Store, change: Change, item: Item) -> Result<(), Refused> {
    let (sender, durable) = oneshot::channel();
    let transaction = Transaction { changes: vec![change], items: vec![item], essential: true };
    store.transact(transaction, clock::now(), Box::new(move |result| _ = sender.send(result)));
    durable.await.unwrap_or(Err(Refused::Closed))
}
