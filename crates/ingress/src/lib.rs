//! The sockets in: Meta's webhooks over TLS, within limits.
//!
//! [`serve_webhooks`] runs the public listener: [`Webhook`] answers the handshake, takes signed
//! POSTs and hands them to the gateway's [`Admit`], whose word decides between 200 and 503. It
//! parses nothing, stores nothing and doesn't know what a message is. [`serve()`] is the accept loop
//! under it, for any hyper service; the store side uses it too.
//!
//! What always holds: nothing reaches [`Admit`] that isn't signed with an app secret over the very
//! bytes handed on; there is no 200 before [`Admit`] has said so; what was handed over is carried
//! to its end even when the sender hangs up; and whatever strangers do, connections, memory, time
//! and log lines have a bound with a name in [`limits`].
//!
//! Depends on `model` for the signature. Start reading at [`Webhook`].

mod admit;
mod answer;
mod body;
mod connections;
mod credentials;
mod handshake;
pub mod limits;
mod memory;
mod metrics;
mod network;
mod occupying;
mod paced;
pub mod proxy;
mod quiet;
mod rate;
mod serve;
mod tls;
mod turns;
mod webhook;

pub use admit::{Admit, Place, Reason, Refusal};
pub use connections::Peer;
pub use credentials::{APP_SECRETS, Credentials, CredentialsError};
pub use handshake::{CHALLENGE_BYTES, Handshake, handshake};
pub use limits::{ConnectionLimits, RequestLimits};
pub use metrics::{ListenerMetrics, Metrics};
pub use network::Network;
pub use quiet::Quiet;
pub use rate::{Budget, FailureBudget};
pub use serve::{Drained, Transport, serve};
pub use tls::{
    AuthorityAndSerial, Challenge, ClientAuth, Known, ROOTS_MAX, Root, SELF_SIGNED_FILE, Source, Tls,
    TlsError, Whom, authority_and_serial, client_roots, is_self_issued, not_after, validity,
};
pub use webhook::{LISTENER, Webhook, serve_webhooks, signature};
