//! `[whatsapp]` and `[crm]`.

use std::path::PathBuf;
use std::time::Duration;

use model::UserIdField;
use reqwest::Url;
use reqwest::header::HeaderName;

use super::Secret;

/// Certificates of authorities that are trusted besides the usual ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    /// The file that they were read from.
    pub file: PathBuf,
    /// What stood in it: PEM with at least one certificate, each of them usable as a root.
    pub pem: Vec<u8>,
}

/// `[whatsapp]`
#[derive(Debug, Clone)]
pub struct WhatsApp {
    /// In order of preference; may be empty, and then nothing can be sent. Names are unique.
    pub endpoints: Vec<WhatsAppEndpoint>,
    /// When an endpoint counts as ill.
    pub health: Health,
    /// What becomes of messages that were posted without anybody knowing what came of it.
    pub uncertain: Uncertain,
}

impl WhatsApp {
    /// The endpoints that serve the number of this phone number id, in order of preference.
    pub fn serving<'a>(&'a self, phone_number_id: &'a str) -> impl Iterator<Item = &'a WhatsAppEndpoint> {
        self.endpoints.iter().filter(move |endpoint| endpoint.serves(phone_number_id))
    }
}

/// `[whatsapp.uncertain]`: how long after its call an uncertain message is sent again; `None`: a person decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uncertain {
    /// Of priority `reply`.
    pub reply: Option<Duration>,
    /// Of priority `service`.
    pub service: Option<Duration>,
    /// Of priority `campaign`.
    pub campaign: Option<Duration>,
}

/// One of `[[whatsapp.endpoints]]`
#[derive(Debug, Clone)]
pub struct WhatsAppEndpoint {
    /// What it's called in logs and metrics.
    pub name: String,
    /// The base that [`Self::path`] is put behind.
    pub url: Url,
    /// The header that the token goes into as it is; `None`: `Authorization: Bearer`.
    pub header: Option<HeaderName>,
    /// The token; `None`: the endpoint asks for none.
    pub token: Option<Secret>,
    /// Begins with a slash and may hold [`Self::NUMBER`].
    pub path: String,
    /// The numbers that it serves, by phone number id, all of them configured; `None`: every one.
    pub numbers: Option<Vec<String>>,
    /// How long a whole call may take.
    pub timeout: Duration,
    /// Whom to trust besides the usual authorities.
    pub ca: Option<Roots>,
    /// What names a recipient by user id.
    pub user_id_field: UserIdField,
}

impl WhatsAppEndpoint {
    /// What stands for the phone number id in [`Self::path`].
    pub const NUMBER: &str = "{phone_number_id}";

    /// Whether it serves a number.
    #[must_use]
    pub fn serves(&self, phone_number_id: &str) -> bool {
        self.numbers.as_ref().is_none_or(|ids| ids.iter().any(|id| id == phone_number_id))
    }
}

/// `[whatsapp.health]`, and most of `[crm.health]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// Between probes of a quiet, healthy endpoint.
    pub every: Duration,
    /// Between probes after a bad one.
    pub recheck: Duration,
    /// An answer within this time is as it should be.
    pub normal: Duration,
    /// An answer later than this, or a failure, is a strike; at least [`Self::normal`].
    pub slow: Duration,
    /// How many strikes put an endpoint out of use; at least 1.
    pub strikes: u32,
    /// How many good probes in a row put it back; at least 1.
    pub recover: u32,
    /// How long a probe is waited for.
    pub timeout: Duration,
}

/// `[crm]`
#[derive(Debug, Clone)]
pub struct Crm {
    /// Which program it is.
    pub kind: CrmKind,
    /// Whether records go one by one.
    pub mode: CrmMode,
    /// Between two batches, in [`CrmMode::Batch`].
    pub batch_every: Duration,
    /// How many records a batch holds at most; at least 1.
    pub batch_size: usize,
    /// How long the CRM has for its answer, where an endpoint doesn't say otherwise.
    pub timeout: Duration,
    /// One secret, two while it is rotated, or none: deliveries are then unsigned. All of them can
    /// be read by `model::signature::standard_webhooks::SigningSecret::parse`.
    pub signing_secret: Vec<Secret>,
    /// In order of preference; empty where the CRM pulls. Names are unique.
    pub endpoints: Vec<CrmEndpoint>,
    /// When an endpoint counts as ill.
    pub health: Health,
    /// What is asked for with GET in a probe, on the endpoint's host; `None`: the endpoint's own
    /// address.
    pub health_path: Option<String>,
}

/// `crm.kind`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrmKind {
    /// CloudEvents over HTTP.
    Http,
    /// Tryton's own interface.
    Tryton,
}

/// `crm.mode`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrmMode {
    /// Each record at once.
    Realtime,
    /// Several together, every so often.
    Batch,
}

/// One of `[[crm.endpoints]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrmEndpoint {
    /// What it's called in logs and metrics.
    pub name: String,
    /// Where records are posted to.
    pub url: Url,
    /// How long it has for its answer.
    pub timeout: Duration,
    /// Whom to trust besides the usual authorities.
    pub ca: Option<Roots>,
}
