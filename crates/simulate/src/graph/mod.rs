//! The Graph API of the box's own making: it takes what the store sends as Meta or 360dialog would,
//! counts what it really received, sends statuses by webhook, and plays every failure it is told to.
//!
//! `world.rs` decides about each call without sockets or clocks, [`observed`] is the book, and
//! [`post`] the post office of the statuses. Counting goes by a [`Clock`] that a test may take over.

mod answer;
pub mod behaviour;
pub mod clock;
mod control;
mod door;
mod interactive;
pub mod limits;
mod media;
mod message;
pub mod observed;
pub mod people;
pub mod post;
pub mod posting;
mod refusal;
mod route;
pub mod rules;
pub mod run;
pub mod server;
pub mod settings;
mod speech;
mod statuses;
mod template;
mod world;

pub use behaviour::{BadBehaviour, Behaviour, Changed, Statuses, Tells};
pub use clock::{Clock, Days, HandClock, MovedClock, SystemClock};
pub use observed::{Letter, Observed, OfNumber, Told};
pub use posting::{Outcome, Posting};
pub use run::{GraphError, GraphLine, GraphReport, run_graph};
pub use server::{Ears, Ended, Graph};
pub use settings::{GraphSettings, Webhooks};
