//! What may be sent, and when: the decisions of the way out, as values.
//!
//! Nothing here remembers anything by itself: what has to outlive a crash goes in and comes out as plain
//! values, which the outbox keeps. All times are milliseconds since 1970 of the one `now` that never
//! goes back.

pub mod clock;
mod day;
mod pair;
pub mod window;

pub use clock::{Clock, Reading};
pub use day::{LocalDay, UnknownZone, Zone};
pub use pair::{PAIR_BURST, PAIR_EVERY_MS, Pair};
pub use window::{MARGIN_MS, SERVICE_WINDOW_MS};
