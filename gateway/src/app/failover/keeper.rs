//! Writes down what becomes of the groups, in order.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::Item;
use store::{Change, Refused, Store, Transaction};
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;

use crate::app::when_true;
use crate::clock;

/// Changes that wait for the disk. Groups change minutes apart.
const WAITING_MAX: usize = 64;
/// A disk that takes nothing now is asked again so much later.
const AGAIN: Duration = Duration::from_secs(5);

/// The way to the disk; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Keeper(Arc<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    queue: Mutex<VecDeque<(Change, Item)>>,
    more: Notify,
}

impl Keeper {
    pub(super) fn start(store: Arc<Store>, stopped: watch::Receiver<bool>) -> (Self, JoinHandle<()>) {
        let keeper = Self::default();
        let writing = keeper.clone();
        let task = tokio::spawn(async move {
            writing.write(stopped, |change, item| transact(Arc::clone(&store), change, item)).await;
        });
        (keeper, task)
    }

    /// The state of a group, and the record that tells the CRM of it: both or none. Doesn't wait. Of more than
    /// [`WAITING_MAX`] an older one is lost: the next start goes by the newest of each group.
    pub(super) fn keep(&self, change: Change, item: Item) {
        let mut queue = self.0.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.len() >= WAITING_MAX {
            let place = outdated(&queue, &change);
            queue.remove(place);
            tracing::error!("a change of a group of endpoints isn't written down: the disk takes nothing");
        }
        queue.push_back((change, item));
        drop(queue);
        self.0.more.notify_one();
    }

    fn next(&self) -> Option<(Change, Item)> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Writes until it is stopped, and then what waits, as long as the disk takes it.
    async fn write<A>(&self, stopped: watch::Receiver<bool>, transact: impl Fn(Change, Item) -> A)
    where
        A: Future<Output = Result<(), Refused>>,
    {
        loop {
            let Some((change, item)) = self.next() else {
                tokio::select! {
                    biased;
                    () = self.0.more.notified() => continue,
                    () = when_true(stopped.clone()) => return,
                }
            };
            while let Err(refused) = transact(change.clone(), item.clone()).await {
                if refused == Refused::TooLarge {
                    tracing::error!("a change of a group of endpoints isn't written down: it is too large");
                    break;
                }
                if *stopped.borrow() {
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
}

/// Which one is missed least, with this one to come: the oldest whose group has changed again since, else the
/// oldest of all.
fn outdated(queue: &VecDeque<(Change, Item)>, coming: &Change) -> usize {
    let changed_again = |(place, (change, _)): (usize, &(Change, Item))| {
        let later = queue.iter().skip(place + 1).map(|(later, _)| later);
        later.chain([coming]).any(|later| later.key == change.key).then_some(place)
    };
    queue.iter().enumerate().find_map(changed_again).unwrap_or(0)
}

async fn transact(store: Arc<Store>, change: Change, item: Item) -> Result<(), Refused> {
    let (sender, durable) = oneshot::channel();
    let transaction = Transaction { changes: vec![change], items: vec![item], essential: true };
    store.transact(transaction, clock::now(), Box::new(move |result| _ = sender.send(result)));
    durable.await.unwrap_or(Err(Refused::Closed))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::ready;

    use records::made::{EndpointChanged, endpoint_changed_item};

    use super::*;

    fn keep(keeper: &Keeper, group: &str, value: u8) {
        let (from, at) = (Some("a"), clock::now());
        let changed = EndpointChanged { account: None, group, from, to: "b", reason: "failed", at };
        let change = Change { key: group.as_bytes().to_vec(), value: Some(vec![value]) };
        keeper.keep(change, endpoint_changed_item(&changed));
    }

    /// What is written at a stop, the first of which is answered so.
    async fn written(keeper: &Keeper, first: Result<(), Refused>) -> Vec<(String, u8)> {
        let (_stop, stopped) = watch::channel(true);
        let log = RefCell::new(Vec::new());
        let transact = |change: Change, _: Item| {
            let group = String::from_utf8(change.key).unwrap();
            log.borrow_mut().push((group, change.value.unwrap()[0]));
            ready(if log.borrow().len() == 1 { first } else { Ok(()) })
        };
        keeper.write(stopped, transact).await;
        log.into_inner()
    }

    #[tokio::test]
    async fn one_that_is_too_large_is_passed_over() {
        let keeper = Keeper::default();
        for value in 0..3 {
            keep(&keeper, "crm", value);
        }
        let values: Vec<_> = written(&keeper, Err(Refused::TooLarge)).await;
        assert_eq!(values.iter().map(|(_, value)| *value).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[tokio::test]
    async fn of_too_many_the_newest_of_each_group_is_kept() {
        let keeper = Keeper::default();
        keep(&keeper, "whatsapp/1", 200);
        for value in 0..100 {
            keep(&keeper, "crm", value);
        }
        let written = written(&keeper, Ok(())).await;
        assert_eq!(written.len(), WAITING_MAX);
        assert_eq!(written.first(), Some(&("whatsapp/1".to_owned(), 200)), "it is the newest of its group");
        assert_eq!(written.last(), Some(&("crm".to_owned(), 99)));
        assert!(written[1..].is_sorted(), "in order");
    }

    #[tokio::test]
    async fn of_too_many_groups_the_oldest_goes() {
        let keeper = Keeper::default();
        for value in 0..70 {
            keep(&keeper, &format!("whatsapp/{value}"), value);
        }
        assert_eq!(written(&keeper, Ok(())).await.first(), Some(&("whatsapp/6".to_owned(), 6)));
    }
}
