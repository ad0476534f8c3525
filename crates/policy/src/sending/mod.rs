//! What may be sent, and when: the decisions of the way out, as values.
//!
//! Nothing here remembers anything by itself: what has to outlive a crash goes in and comes out as plain
//! values, which the outbox keeps. All times are milliseconds since 1970 of the one `now` that never
//! goes back.

mod advice;
mod balance;
pub mod batch;
pub mod clock;
mod day;
pub mod errors;
pub mod forecast;
pub mod lattice;
mod lesson;
mod pair;
pub mod rates;
pub mod retry;
pub mod window;

pub use advice::advice;
pub use balance::Balance;
pub use batch::Batches;
pub use clock::{Clock, Reading};
pub use day::{LocalDay, UnknownZone, Zone};
pub use errors::{Class, StopScope, class};
pub use forecast::{Campaign, Counts, Forecast, forecast};
pub use lattice::{after_accepted, after_status};
pub use lesson::{Lesson, of_status};
pub use pair::{PAIR_BURST, PAIR_EVERY_MS, Pair};
pub use rates::{Category, Market, Micros, RateCard};
pub use window::{MARGIN_MS, SERVICE_WINDOW_MS};
