//! The Graph API of the box's own making: it takes what the store sends as Meta or 360dialog would,
//! counts what it really received, sends statuses by webhook, and plays every failure it is told to.
//!
//! One world may have several doors: Meta's own and, with [`Graph::open`], further hosts or a provider such
//! as 360dialog, each with its own dialect, credential, certificate and troubles. They lead to the same
//! numbers, people, files and book, so that a message which was taken by two of them counts as taken twice.
//! What `wagate doctor` asks for is in [`setup`], and a webhook override is really checked and obeyed.
//!
//! `world.rs` decides about each call without sockets or clocks, [`observed`] is the book, and
//! [`post`] the post office of the statuses. Counting goes by a [`Clock`] that a test may take over.

mod about;
mod answer;
pub mod behaviour;
pub mod clock;
mod configure;
mod control;
mod door;
pub mod files;
pub mod front;
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
pub mod setup;
pub mod shared;
mod speech;
mod statuses;
mod template;
mod world;

pub use behaviour::{BadBehaviour, Behaviour, Changed, Entity, Says, Statuses, Tells};
pub use clock::{Clock, Days, HandClock, MovedClock, SystemClock};
pub use front::{Dialect, DoorSettings, Identity, MAIN_DOOR, Member, UserIds};
pub use observed::{Letter, Observed, OfDoor, OfNumber, Told};
pub use posting::{Outcome, Posting};
pub use run::{GraphError, GraphLine, GraphReport, run_graph};
pub use server::{Doorway, Ended, Graph};
pub use settings::{GraphSettings, Webhooks};
pub use setup::{App, Setup, Storage, Token};
pub use shared::Ears;
