//! The configuration as the rest of the program sees it: plain values, all of them checked.
//!
//! Every duration is positive unless its key says otherwise, every path is absolute or relative
//! to the working directory (the folder of the configuration file is already joined), every
//! secret is read. The ranges stand in [`super::keys`].

mod api;
mod network;
mod outward;
mod time_server;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ingress::proxy::Relays;
use jiff::tz::TimeZone;
use policy::sending::{Micros, RateCard};
use reqwest::Url;

pub use self::api::{Api, ApiClient, ApiClientAuth, ApiTls, Scope, Scopes};
pub use self::network::{Address, Network};
pub use self::outward::{
    Crm, CrmEndpoint, CrmKind, CrmMode, Health, Roots, Uncertain, WhatsApp, WhatsAppEndpoint,
};
pub use self::time_server::{TIME_SERVERS_MAX, TimeServer};
use super::Secret;

/// The whole configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where things are kept.
    pub store: Store,
    /// The public side.
    pub webhook: Webhook,
    /// The store side.
    pub api: Api,
    /// The store's WhatsApp numbers; may be empty, their ids are unique.
    pub numbers: Vec<Number>,
    /// The way out to WhatsApp.
    pub whatsapp: WhatsApp,
    /// The way to the CRM.
    pub crm: Crm,
    /// The box that this one stands by for; `None`: it stands by for none.
    pub standby: Option<Standby>,
    /// What messages cost.
    pub costs: Costs,
    /// When the machine's clock is believed.
    pub clock: Clock,
    /// What the program says about itself.
    pub log: Log,
    /// The box's own network; without meaning on a machine that runs from another image.
    pub network: Network,
}

impl Config {
    /// Where Meta reaches the webhook of this box: `webhook.public_url`, else the first of the ACME domains with
    /// `webhook.path`; `None` where neither is known, or where the latter is longer than Meta takes.
    #[must_use]
    pub const fn public_url(&self) -> Option<&Url> {
        self.webhook.public_url.as_ref()
    }
}

/// `[store]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// The folder of the store.
    pub path: PathBuf,
    /// The budget of live data in bytes.
    pub max_size: u64,
    /// How long delivered records are kept.
    pub history: Duration,
    /// Bytes of one segment of the intake log; a multiple of 4 KiB.
    pub log_segment: u64,
    /// How many segments the intake log has.
    pub log_segments: u32,
}

/// `[webhook]`
#[derive(Debug, Clone)]
pub struct Webhook {
    /// The public listener; never the same as the one of [`Api`].
    pub listen: SocketAddr,
    /// The path of the webhook, beginning with a slash.
    pub path: String,
    /// Where Meta reaches this webhook, if that is known: `https`, no query, at most
    /// [`Self::PUBLIC_URL_MAX`] characters.
    pub public_url: Option<Url>,
    /// Whose connections begin with a PROXY header.
    pub relays: Relays,
    /// What Meta has to say in the handshake.
    pub verify_token: Secret,
    /// One app secret, or two while it is rotated.
    pub app_secret: Vec<Secret>,
    /// How the listener speaks TLS.
    pub tls: Tls,
    /// Whether Meta has to show a certificate.
    pub client_auth: ClientAuth,
}

impl Webhook {
    /// Characters of an address that Meta takes as `override_callback_uri`, by its documentation.
    pub const PUBLIC_URL_MAX: usize = 200;
}

/// `[webhook.tls]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// A certificate of the box's own making, kept in the store.
    SelfSigned,
    /// A chain and its key in PEM files.
    Files {
        /// The chain, the box's own certificate first.
        certificate: PathBuf,
        /// The private key.
        key: PathBuf,
        /// An OCSP answer in DER, to be shown beside the chain.
        ocsp: Option<PathBuf>,
    },
    /// A certificate fetched by ACME.
    Acme(Acme),
    /// Plain HTTP; the listener is then a loopback address.
    Off,
}

/// `acme` in `[webhook.tls]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acme {
    /// The names that the certificate is for; 1 to [`Self::DOMAINS_MAX`].
    pub domains: Vec<String>,
    /// `mailto:` and an address.
    pub contact: Option<String>,
    /// The directory of the certificate authority.
    pub directory: Url,
    /// A root to trust beside the usual ones when the directory is asked.
    pub ca: Option<PathBuf>,
    /// The listener for HTTP-01; `None`: names are proved on the public listener alone.
    pub http_listen: Option<SocketAddr>,
}

impl Acme {
    /// As many as Let's Encrypt puts into one certificate.
    pub const DOMAINS_MAX: usize = 100;
}

/// `[webhook.client_auth]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAuth {
    /// Whether a certificate is asked for.
    pub mode: ClientAuthMode,
    /// The authorities that it may come from.
    pub ca: PathBuf,
    /// The name that it has to bear.
    pub name: String,
}

impl ClientAuth {
    /// What the public listener is told; `None` where nobody is asked.
    #[must_use]
    pub fn asked(&self) -> Option<ingress::ClientAuth> {
        let required = self.mode.required()?;
        let (ca, name) = (self.ca.clone(), Some(self.name.clone()));
        Some(ingress::ClientAuth { whom: ingress::Whom::Meta, required, ca, name })
    }
}

/// `mode` of `webhook.client_auth` and `api.client_auth`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuthMode {
    /// Nobody is asked.
    Off,
    /// Who shows a certificate has to show the right one.
    Optional,
    /// Who shows none is turned away.
    Required,
}

impl ClientAuthMode {
    /// Whether who shows none is turned away; `None` where nobody is asked.
    const fn required(self) -> Option<bool> {
        match self {
            Self::Off => None,
            Self::Optional => Some(false),
            Self::Required => Some(true),
        }
    }
}

/// One of `[[numbers]]`
#[derive(Debug, Clone)]
pub struct Number {
    /// Meta's id of the number: digits.
    pub phone_number_id: String,
    /// The number itself in E.164, `+85291234567`.
    pub phone: Option<String>,
    /// Whose midnight begins the number's day.
    pub timezone: TimeZone,
    /// Numbers of one portfolio share Meta's ledger of unique recipients.
    pub portfolio: String,
    /// What may be sent.
    pub limits: Limits,
}

/// `[numbers.limits]`
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Messages by the number's local day.
    pub messages_per_day: u64,
    /// Calls of the API by the number's local day.
    pub api_calls_per_day: u64,
    /// Recipients outside the service window in a moving 24 h.
    pub unique_recipients_per_24h: u64,
    /// Messages in a second.
    pub messages_per_second: u32,
    /// The share of a limit, 0 to 1, past which campaign messages go out in batches.
    pub batch_above: f64,
    /// How often such a batch goes out.
    pub batch_every: Duration,
}

/// `[standby]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standby {
    /// What is asked with GET; any answer under 500 is a sign of life.
    pub peer: Url,
    /// Authorities to trust besides the usual ones when it is asked over https.
    pub ca: Option<Roots>,
    /// Between two such questions.
    pub every: Duration,
    /// After so long without a sign of life the peer counts as silent; at least twice [`Self::every`].
    pub silent_for: Duration,
    /// How long an answer is waited for.
    pub timeout: Duration,
    /// Whether the webhook of a silent peer is taken over without a person. [`Config::public_url`] is then known.
    pub take: bool,
}

/// `[costs]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Costs {
    /// The file of the rate cards.
    pub rate_card: Option<PathBuf>,
    /// What stands in it; empty without such a file, and when it has mistakes.
    pub cards: Vec<RateCard>,
    /// At this prepaid balance or below people are told.
    pub low_water: Option<Micros>,
}

/// `[clock]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clock {
    /// How far the machine's clock may be ahead of the last known time at a start to be believed.
    pub believed_ahead: Duration,
    /// The time servers that a box asks; empty for those that DHCP names.
    pub servers: Vec<TimeServer>,
}

/// `[log]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// For whom the lines are written.
    pub format: LogFormat,
    /// The least serious lines that are written.
    pub level: LogLevel,
}

/// `log.format`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Human on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Human,
    /// For programs: one JSON object per line.
    Json,
}

/// `log.level`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Data was lost, or a person is needed.
    Error,
    /// Unusual, and dealt with.
    Warn,
    /// Changes of state that an operator cares about.
    Info,
    /// Decisions; may show what messages are about.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}
