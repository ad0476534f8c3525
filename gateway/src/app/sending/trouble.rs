//! What is done about a turn that came to nothing.

use model::Sequence;
use outbox::TableError;
use store::Refused;

use super::work::Work;

/// Why a turn came to nothing.
pub(super) enum Trouble {
    Read(TableError),
    Refused(Refused),
}

impl Work {
    /// A turn was too large for a transaction: the next takes less. One record or one answer that is too large by
    /// itself costs itself, and not all that waits behind it.
    pub(super) fn make_smaller(&mut self, first: Option<Sequence>) {
        if self.most > 1 {
            self.most /= 2;
            return;
        }
        if let Some(sequence) = first {
            tracing::error!(sequence = sequence.0, "a record says more than can be taken in: passed over");
            self.skip_to = sequence;
        } else if !self.answered.is_empty() {
            tracing::error!(
                "an answer of WhatsApp is too large to be noted: its message is uncertain at the next start"
            );
            self.answered.remove(0);
        }
    }

    pub(super) fn give_up(&self, trouble: &Trouble) {
        let said = match trouble {
            Trouble::Read(error) => error.to_string(),
            Trouble::Refused(refused) => refused.to_string(),
        };
        self.status.send_if_modified(|status| {
            let new = status.trouble.as_ref() != Some(&said);
            if new {
                tracing::error!("the outbox can't go on: {said}; trying again");
                status.trouble = Some(said);
            }
            new
        });
    }
}
