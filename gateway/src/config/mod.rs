//! The configuration: one TOML file, read with every mistake found at once.
//!
//! [`load`] parses the file, finds what has no place in it ([`unknown`]), takes out what has
//! ([`reader`], [`sections`]), reads the secrets that it names, and gives back either a typed
//! [`Config`] with the warnings beside it, or all [`Problems`]. The one list of keys with their
//! types, ranges and defaults is [`keys::KEYS`]; start reading there. [`accepted`] keeps the last
//! configuration that worked. The rate card is a second file, read by the same means.
//!
//! What must always hold: no message, however broken the file, shows an inline secret; and no
//! byte of a file makes the reader panic.

pub mod accepted;
pub mod keys;
mod load;
mod problem;
pub mod rate_card;
mod reader;
mod render;
mod secret;
mod sections;
mod shown;
mod strings;
mod syntax;
mod types;
pub mod units;
mod unknown;
mod usable;
mod values;

pub use load::{Env, Loaded, load, parse, system_env};
pub use problem::{Problem, Problems, Severity, Source};
pub use secret::Secret;
pub(crate) use strings::{Text, strings};
pub use types::{
    Acme, Address, Api, ApiClient, ApiClientAuth, ApiTls, ClientAuth, ClientAuthMode, Clock, Config, Costs,
    Crm, CrmEndpoint, CrmKind, CrmMode, Health, Limits, Log, LogFormat, LogLevel, Network, Number, Roots,
    Scope, Scopes, Standby, Store, TIME_SERVERS_MAX, TimeServer, Tls, Uncertain, Webhook, WhatsApp,
    WhatsAppEndpoint,
};
