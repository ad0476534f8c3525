//! A simulated Meta that sends webhooks; the Graph that it answers by is [`crate::graph`].

mod change;
pub mod connection;
pub mod contact;
pub mod handshake;
pub mod payload;
pub mod redirects;
pub mod report;
pub mod run;
pub mod schedule;
pub mod sender;
pub mod supply;
pub(crate) mod text;
mod tls;

pub use connection::{BadUrl, Failure, Target};
pub use handshake::{Handshake, HandshakeError, handshake};
pub use payload::{Body, PayloadOptions, Payloads};
pub use redirects::Redirects;
pub use report::{Acknowledged, Counts, Progress, Report};
pub use run::{Line, WhatsappError, WhatsappOptions, run_whatsapp};
pub use schedule::{Backoff, Pace, Retry};
pub use sender::{Sender, SenderOptions, Stop};
pub use supply::{Signed, Supply};
pub use tls::danger_accept_any_certificate;
