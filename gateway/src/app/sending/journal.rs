//! Reading on in the journal: what each record means for sending.

use model::{Fact, Says, Sequence};
use outbox::TableError;
use policy::sending::Reading;
use store::{Query, ReadError};

use super::work::Work;

/// Records of the journal that are read at a time.
pub(super) const RECORDS_A_TURN: usize = 512;
const RECORD_BYTES_A_TURN: usize = 1 << 20;
/// A new outbox begins so many records back: windows are of the last day, and no older message is its own.
const FIRST_LOOK: u64 = 200_000;
/// Bytes of the name of a price category: those of Meta have 29 at most.
const CATEGORY_BYTES_MAX: usize = 40;

/// WhatsApp accounts that are remembered with one of their numbers.
const ACCOUNTS_MAX: usize = 256;

/// What a record of the journal says.
pub(super) type Said = (Sequence, Vec<Fact>);

impl Work {
    /// Reads on in the journal. Never skips a record that it may need, and never stops at one.
    pub(super) fn journal(&mut self, reading: Reading) -> Result<Vec<Said>, TableError> {
        let newest = self.store.newest();
        let mut after = self.outbox.cursor().max(self.skip_to);
        if after == Sequence::START {
            after = Sequence(newest.0.saturating_sub(FIRST_LOOK));
        }
        if after >= newest {
            return Ok(Vec::new());
        }
        let limit = RECORDS_A_TURN.min(self.most);
        let query = Query { after: Some(after), limit, bytes: RECORD_BYTES_A_TURN };
        let page = match self.store.page(&query, &|_| true) {
            Ok(page) => page,
            // Older history went before it was read: a day's budget was used up in one.
            Err(ReadError::Gone { oldest, .. }) => {
                return Ok(vec![(Sequence(oldest.0.saturating_sub(1)), Vec::new())]);
            }
            Err(error) => return Err(TableError(Box::new(error))),
        };
        self.metrics.read(page.records.len());
        let mut said = Vec::with_capacity(page.records.len() + 1);
        for record in &page.records {
            let account = &record.item.account;
            if let (Some(waba), Some(number)) = (&account.waba_id, &account.phone_number_id)
                && self.accounts.len() < ACCOUNTS_MAX
                && !self.accounts.contains_key(waba)
                && self.outbox.settings().numbers.contains_key(number)
            {
                self.accounts.insert(waba.clone(), number.clone());
            }
            let mut facts = records::facts(record, &self.numbers);
            for fact in &mut facts {
                // Meta names the account only; another account's limit is none of this one's.
                if let (Says::UniqueLimit(_), None, Some(waba)) = (&fact.says, &fact.number, &account.waba_id)
                {
                    fact.number = self.accounts.get(waba).cloned();
                }
                if let Some(at) = fact.at {
                    self.clock.heard(at.0, reading);
                }
                self.resolve(fact)?;
            }
            said.push((record.sequence, facts));
        }
        // Behind the last record there may be places that are none.
        said.push((page.next, Vec::new()));
        Ok(said)
    }

    /// Completes a fact by what is known here, and bounds what Meta names.
    fn resolve(&self, fact: &mut Fact) -> Result<(), TableError> {
        match &mut fact.says {
            // An opt-out names its customer by aliases only.
            Says::Marketing { aliases, .. } if fact.contact.is_none() => {
                let contact = self.store.contact(aliases).map_err(|error| TableError(Box::new(error)))?;
                fact.contact = contact.and_then(|contact| contact.to_bits());
            }
            Says::Status { pricing: Some(pricing), .. } if pricing.category.len() > CATEGORY_BYTES_MAX => {
                pricing.category = "other".to_owned();
            }
            // Nothing is sent from a number that isn't configured, so its windows are nobody's.
            Says::Inbound { .. }
                if fact
                    .number
                    .as_ref()
                    .is_none_or(|number| !self.outbox.settings().numbers.contains_key(number)) =>
            {
                fact.says = Says::Nothing;
            }
            Says::Nothing
            | Says::Inbound { .. }
            | Says::Status { .. }
            | Says::Marketing { .. }
            | Says::UniqueLimit(_)
            | Says::Throughput(_)
            | Says::Account { .. } => {}
        }
        Ok(())
    }
}
