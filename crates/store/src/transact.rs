//! Transactions on the table of values, and meeting people: what the box itself writes.

use std::sync::mpsc::sync_channel;
use std::time::Duration;

use model::{Alias, ContactId, Item, WallTime};

use crate::Store;
use crate::contacts::HashedAlias;
use crate::error::Refused;
use crate::options::GROUP_BYTES;
use crate::store::bytes_of;
use crate::writer::{Answer, Job, Own, Transact, Work, window};

/// Bytes of a key at most: it stands in pages of the index among others.
pub const KEY_MAX: usize = 128;
/// Bytes of a value at most.
pub const VALUE_MAX: usize = 256 << 10;
/// Bytes of keys and values that one transaction changes at most, and of people that are met by one
/// call: with the items it fits the smallest segment of a box.
pub const TRANSACTION_MAX: usize = GROUP_BYTES;
/// Bytes of the items of a transaction at most: as many as a part of a webhook has.
const ITEMS_MAX: usize = 2 * GROUP_BYTES;
/// What a change takes beside key and value, and a person beside the aliases, roughly.
const OVERHEAD_BYTES: usize = 32;
/// What an alias takes.
const ALIAS_BYTES: usize = 16;

/// One change to the table of values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// 1 to [`KEY_MAX`] bytes, stored as they are: they must not name anybody.
    pub key: Vec<u8>,
    /// At most [`VALUE_MAX`] bytes; `None` removes the key.
    pub value: Option<Vec<u8>>,
}

/// What becomes durable together, or not at all.
#[derive(Debug, Clone, Default)]
pub struct Transaction {
    /// Made one after another: of two with the same key the later one counts.
    pub changes: Vec<Change>,
    /// Become records as by [`Store::append`]: what is known already adds nothing.
    pub items: Vec<Item>,
    /// To be noted although the budget is used up, like the outcome of a call. A full disk refuses
    /// it all the same.
    pub essential: bool,
}

/// Called once with the contacts that people are, in the order of the question.
pub type OnContacts = Box<dyn FnOnce(Result<Vec<ContactId>, Refused>) + Send>;

impl Store {
    /// Takes a transaction: all of it or nothing, through any crash. `answer` is called once: with
    /// `Ok` when it is durable, and then everybody who reads sees it. Transactions take effect in the
    /// order in which they are handed over.
    ///
    /// Never blocks.
    pub fn transact(&self, transaction: Transaction, received_at: WallTime, answer: Answer) {
        let Transaction { changes, items, essential } = transaction;
        let answer: OnContacts = Box::new(move |result| answer(result.map(|_| ())));
        let changed = changes.iter().map(bytes_of_change).sum::<usize>();
        let sent = items.iter().map(bytes_of).sum::<usize>();
        let allowed = changes.iter().all(is_allowed) && changed <= TRANSACTION_MAX && sent <= ITEMS_MAX;
        if !allowed {
            return answer(Err(Refused::TooLarge));
        }
        let items = items.into_iter().map(|item| self.prepare(item)).collect();
        let bytes = changed + sent;
        let own = Own { changes, items, meets: Vec::new(), received_at };
        self.hand_over(Transact { own, bytes, essential, answer });
    }

    /// How long it is worth waiting for company before a transaction is made, as webhooks wait for one another: by
    /// what a sync takes on this disk. What is asked after a transaction was made waits for two syncs.
    #[must_use]
    pub fn company_wait(&self) -> Duration {
        window::of_transaction(self.shared.lock().flush_time)
    }

    /// As [`Store::transact`], but waits for the answer.
    ///
    /// # Errors
    /// As the answer says.
    pub fn transact_and_wait(&self, transaction: Transaction, received_at: WallTime) -> Result<(), Refused> {
        let (sender, receiver) = sync_channel(1);
        self.transact(transaction, received_at, Box::new(move |result| _ = sender.send(result)));
        receiver.recv().unwrap_or(Err(Refused::Closed))
    }

    /// The contacts that these people are, made and learned where they are unknown; durable when
    /// answered. Each is named by aliases, the strongest first. `received_at` is when somebody new
    /// was first seen.
    pub fn meet(&self, people: Vec<Vec<Alias>>, received_at: WallTime, answer: OnContacts) {
        let bytes = people.iter().map(|aliases| OVERHEAD_BYTES + aliases.len() * ALIAS_BYTES).sum();
        if bytes > TRANSACTION_MAX {
            return answer(Err(Refused::TooLarge));
        }
        let meets = people.into_iter().map(|aliases| self.hashed(&aliases)).collect();
        let own = Own { changes: Vec::new(), items: Vec::new(), meets, received_at };
        self.hand_over(Transact { own, bytes, essential: false, answer });
    }

    pub(crate) fn hashed(&self, aliases: &[Alias]) -> Vec<HashedAlias> {
        aliases.iter().map(|alias| HashedAlias::new(&self.key, alias)).collect()
    }

    fn hand_over(&self, transact: Transact) {
        self.send(Job::Work(Work::Transact(Box::new(transact))));
    }
}

fn is_allowed(change: &Change) -> bool {
    (1..=KEY_MAX).contains(&change.key.len()) && change.value.as_ref().is_none_or(|it| it.len() <= VALUE_MAX)
}

fn bytes_of_change(change: &Change) -> usize {
    OVERHEAD_BYTES + change.key.len() + change.value.as_ref().map_or(0, Vec::len)
}
