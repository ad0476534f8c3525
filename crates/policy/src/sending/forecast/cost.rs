//! What the messages of a campaign would cost.

use super::super::rates::{Category, Micros, RateCard};
use super::Campaign;

/// Where the prices come from.
#[derive(Debug, Clone, Copy)]
pub enum Prices<'a> {
    /// One price for every customer.
    One {
        /// The currency, `USD`.
        currency: &'a str,
        /// Of the first message to each customer.
        template: Micros,
        /// Of each message that follows.
        service: Micros,
    },
    /// A rate card.
    Card {
        /// The card of the day.
        card: &'a RateCard,
        /// What the first message to each customer is.
        category: Category,
        /// How many customers a calling code (or number) stands for; who is missing here is elsewhere.
        recipients: &'a [(String, u64)],
        /// Service messages of the number that were charged or free in this calendar month.
        service_this_month: u64,
    },
}

/// An amount and its currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cost {
    /// The amount.
    pub amount: Micros,
    /// The currency, `USD`.
    pub currency: String,
}

impl Prices<'_> {
    /// `None` where a price isn't known.
    pub(super) fn cost(&self, campaign: &Campaign) -> Option<Cost> {
        let following = campaign.messages() - campaign.customers;
        match self {
            Self::One { currency, template, service } => Some(Cost {
                amount: template.times(campaign.customers).plus(service.times(following)),
                currency: (*currency).to_owned(),
            }),
            Self::Card { card, category, recipients, service_this_month } => {
                let first = match category {
                    // Free while the window is open.
                    Category::Utility => campaign.pushes(),
                    Category::Marketing
                    | Category::Authentication
                    | Category::AuthenticationInternational
                    | Category::Service => campaign.customers,
                };
                let charged = card.charged_service(*service_this_month, following);
                let first = Self::share(card, *category, recipients, campaign.customers, first)?;
                let following =
                    Self::share(card, Category::Service, recipients, campaign.customers, charged)?;
                Some(Cost { amount: first.plus(following), currency: card.currency.clone() })
            }
        }
    }

    /// What `messages` of a category cost when they go to the recipients in equal parts; rounded up.
    fn share(
        card: &RateCard,
        category: Category,
        recipients: &[(String, u64)],
        customers: u64,
        messages: u64,
    ) -> Option<Micros> {
        if messages == 0 || customers == 0 {
            return Some(Micros(0));
        }
        let (mut of_all, mut elsewhere) = (0_u128, customers);
        for (code, count) in recipients {
            // More recipients than customers: the first ones count.
            let count = elsewhere.min(*count);
            elsewhere -= count;
            if count > 0 {
                of_all += u128::from(card.price(category, code)?.0.unsigned_abs()) * u128::from(count);
            }
        }
        if elsewhere > 0 {
            of_all += u128::from(card.price(category, "")?.0.unsigned_abs()) * u128::from(elsewhere);
        }
        // At most 10^15 x 2^64 so far: the average first, not to pass the end of the numbers.
        let customers = u128::from(customers);
        let (whole, part) = (of_all / customers, of_all % customers);
        let micros = whole * u128::from(messages) + (part * u128::from(messages)).div_ceil(customers);
        Some(Micros(i64::try_from(micros).unwrap_or(i64::MAX)))
    }
}
