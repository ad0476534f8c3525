//! What messages cost: as their statuses say it, by day, number and category; and the prepaid balance.

use model::Pricing;
use policy::sending::{Category, LocalDay, Micros};
use serde::{Deserialize, Serialize};

use crate::keys;
use crate::settings::HOUR_MS;
use crate::table::TableError;
use crate::turn::Turn;
use crate::values::{Charges, Message};

/// The prepaid balance, in millionths of the rate card's currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Balance {
    /// What is left.
    pub micros: i64,
    /// Below this an alarm is raised.
    pub low_water_micros: i64,
}

/// Only this kind of pricing costs something.
const REGULAR: &str = "regular";
/// Days that charges are kept for.
const CHARGES_KEPT_DAYS: i32 = 400;

impl Turn<'_> {
    pub(crate) fn charge(&mut self, message: &Message, pricing: &Pricing) -> Result<(), TableError> {
        let day = match self.settings.numbers.get(&message.number) {
            Some(number) => self.day(number),
            None => i32::try_from(self.date.div_euclid(24 * HOUR_MS)).unwrap_or(i32::MAX),
        };
        let key = keys::charges(day, &message.number, &pricing.category);
        let known: Option<Charges> = self.view.get(&key)?;
        if known.is_none() {
            let old = keys::charges_of(day.saturating_sub(CHARGES_KEPT_DAYS));
            for (key, _) in self.view.list(&keys::Key::new(b'g'), &keys::Key::new(b'g'), 8)? {
                if key.as_slice() < old.as_bytes() {
                    self.view.remove(&keys::Key::from_bytes(&key));
                }
            }
        }
        let mut charges = known.unwrap_or_default();
        charges.messages += 1;
        if pricing.kind == REGULAR {
            let Micros(micros) = self.price(message, pricing, LocalDay(day).month())?;
            charges.billed += 1;
            charges.micros = charges.micros.saturating_add(micros);
            if let Some(mut balance) = self.balance()? {
                balance.micros = balance.micros.saturating_sub(micros);
                self.view.put(keys::single("balance"), &balance);
            }
        }
        self.view.put(key, &charges);
        Ok(())
    }

    /// By the rate card; nothing where it doesn't know.
    fn price(&mut self, message: &Message, pricing: &Pricing, month: i32) -> Result<Micros, TableError> {
        let phone = message.to.as_ref().map_or("", |to| to.as_str());
        let key = keys::single(&format!("service {}", message.number));
        let (known, before): (i32, u64) = self.view.get(&key)?.unwrap_or_default();
        let before = if known == month { before } else { 0 };
        if Category::parse(&pricing.category) == Some(Category::Service) {
            self.view.put(key, &(month, before + 1));
        }
        let price = self.settings.rates.as_ref().and_then(|rates| rates.cost(pricing, phone, before));
        Ok(price.unwrap_or(Micros(0)))
    }

    /// The prepaid balance, if one was entered.
    ///
    /// # Errors
    /// When the table can't be read.
    pub fn balance(&self) -> Result<Option<Balance>, TableError> {
        self.view.get(&keys::single("balance"))
    }

    /// Enters the balance.
    pub fn set_balance(&mut self, balance: Balance) {
        self.urgent = true;
        self.view.put(keys::single("balance"), &balance);
    }

    /// What was charged from one local day to another, both included: day, number, category, charges.
    ///
    /// # Errors
    /// When the table can't be read.
    pub fn charges(&self, from: i32, to: i32) -> Result<Vec<(i32, String, String, Charges)>, TableError> {
        let found = self.view.range(
            keys::charges_of(from).as_bytes(),
            keys::charges_of(to.saturating_add(1)).as_bytes(),
            CHARGES_SHOWN_MAX,
        )?;
        Ok(found.iter().filter_map(|(key, value)| read(key, value)).collect())
    }
}

/// Rows of charges in one answer: 31 days of 20 numbers with 10 categories.
const CHARGES_SHOWN_MAX: usize = 6_200;

fn read(key: &[u8], value: &[u8]) -> Option<(i32, String, String, Charges)> {
    let (day, rest) = key.get(1..)?.split_first_chunk::<8>()?;
    let day = (u64::from_be_bytes(*day) ^ 1 << 63).cast_signed();
    let mut texts = rest.split(|byte| *byte == 0).map(|text| String::from_utf8(text.to_vec()).ok());
    let (number, category) = (texts.next()??, texts.next()??);
    Some((i32::try_from(day).ok()?, number, category, crate::table::decode(value)?))
}
