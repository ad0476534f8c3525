//! The doors of one simulated world: Meta's own, and those of providers that lead to the same numbers.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::header::{AUTHORIZATION, HeaderMap};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::Serialize;
use tokio_rustls::TlsAcceptor;

use super::behaviour::Behaviour;
use super::refusal::Refusal;
use super::route::Route;

/// The name of the door that is open from the start.
pub const MAIN_DOOR: &str = "meta";
/// Doors of one world, the first included; further ones aren't opened.
pub const DOORS_MAX: usize = 16;
/// The header of 360dialog, which holds the key as it is.
pub(crate) const KEY_HEADER: &str = "d360-api-key";
/// Where 360dialog says that a file is, with a host that its own has to be put in the place of.
const LOOKASIDE: &str = "https://lookaside.fbsbx.com";

/// How a door wants to be spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// Either of the two, whatever is asked.
    #[default]
    Any,
    /// `Authorization: Bearer`, and the number in the path.
    Meta,
    /// `D360-API-KEY`, neither a version nor a number in the path, its own errors as
    /// `{"meta": {"http_code", "developer_message", "success": false}}`, and files whose URL names
    /// Meta's host.
    ThreeSixty,
}

/// A member of a message that names who it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Member {
    /// `to`.
    To,
    /// `recipient`.
    Recipient,
}

/// Which member a door takes a business-scoped user id in; a phone always stands in `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UserIds {
    /// Either of them.
    Either,
    /// `to` alone.
    To,
    /// `recipient` alone, as Meta has it.
    #[default]
    Recipient,
}

impl UserIds {
    pub(crate) fn takes(self, member: Member) -> bool {
        match self {
            Self::Either => true,
            Self::To => member == Member::To,
            Self::Recipient => member == Member::Recipient,
        }
    }
}

/// A certificate chain and its key, both in PEM.
#[derive(Clone)]
pub struct Identity {
    /// The chain, the door's own certificate first.
    pub certificate_pem: String,
    /// The key.
    pub key_pem: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity(..)")
    }
}

impl Identity {
    /// Whatever stands in it is served: wrong names, past dates and strange issuers are for clients
    /// to find.
    pub(crate) fn acceptor(&self) -> std::io::Result<TlsAcceptor> {
        let bad = |why: String| std::io::Error::new(std::io::ErrorKind::InvalidInput, why);
        let chain: Vec<_> = CertificateDer::pem_slice_iter(self.certificate_pem.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|why| bad(format!("the certificate can't be read: {why}")))?;
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes())
            .map_err(|why| bad(format!("the key can't be read: {why}")))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|why| bad(why.to_string()))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|why| bad(why.to_string()))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// What a door is to be like.
#[derive(Debug, Clone)]
pub struct DoorSettings {
    /// What the book calls it.
    pub name: String,
    /// Where it is; port 0 takes any free one.
    pub listen: SocketAddr,
    /// How it wants to be spoken to.
    pub dialect: Dialect,
    /// What has to be brought; with none, anything will do that isn't empty.
    pub token: Option<String>,
    /// Serves TLS by this; without, plainly.
    pub identity: Option<Identity>,
    /// Scheme and host of the URLs of files, such as `https://lookaside.fbsbx.com`; by default the
    /// door's own, or that one for 360dialog.
    pub media_base: Option<String>,
    /// Which member it takes user ids in.
    pub user_ids: UserIds,
    /// What befalls calls at this door alone. `window`, `business_scoped` and `statuses` are of the
    /// world, not of a door, and have no effect here.
    pub behave: Vec<Behaviour>,
}

impl DoorSettings {
    /// Plain, of any dialect and with any token.
    #[must_use]
    pub fn new(name: impl Into<String>, listen: SocketAddr) -> Self {
        Self {
            name: name.into(),
            listen,
            dialect: Dialect::Any,
            token: None,
            identity: None,
            media_base: None,
            user_ids: UserIds::default(),
            behave: Vec::new(),
        }
    }

    /// As 360dialog's, with this key.
    #[must_use]
    pub fn three_sixty(listen: SocketAddr, key: impl Into<String>) -> Self {
        let key = Some(key.into());
        Self { dialect: Dialect::ThreeSixty, token: key, ..Self::new("360dialog", listen) }
    }
}

/// An open door.
#[derive(Debug)]
pub(crate) struct Front {
    /// Its place among the doors of the world.
    pub(crate) place: usize,
    pub(crate) settings: DoorSettings,
    pub(crate) address: SocketAddr,
}

impl Front {
    /// To be put into the configuration as `whatsapp.endpoints.url`.
    pub(crate) fn url(&self) -> String {
        let version = if self.settings.dialect == Dialect::ThreeSixty { "" } else { "/v24.0" };
        format!("{}{version}", self.base())
    }

    fn base(&self) -> String {
        let scheme = if self.settings.identity.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Where its files are said to be.
    pub(crate) fn media_base(&self) -> String {
        match (&self.settings.media_base, self.settings.dialect) {
            (Some(base), _) => base.clone(),
            (None, Dialect::ThreeSixty) => LOOKASIDE.to_owned(),
            (None, Dialect::Any | Dialect::Meta) => self.base(),
        }
    }

    /// Whether a request is answered as 360dialog does.
    pub(crate) fn is_three_sixty(&self, headers: &HeaderMap) -> bool {
        match self.settings.dialect {
            Dialect::ThreeSixty => true,
            Dialect::Meta => false,
            Dialect::Any => headers.contains_key(KEY_HEADER),
        }
    }

    /// Checks who asks.
    pub(crate) fn admit(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let key = || headers.get(KEY_HEADER)?.to_str().ok();
        let bearer = || headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ");
        let brought = match self.settings.dialect {
            Dialect::Any => key().or_else(bearer),
            Dialect::Meta => bearer(),
            Dialect::ThreeSixty => key(),
        };
        if self.lets_in(brought) {
            return Ok(());
        }
        Err(Refusal::because(
            190,
            match self.settings.dialect {
                Dialect::ThreeSixty => "Invalid api_key",
                Dialect::Any | Dialect::Meta => "Invalid OAuth access token - Cannot parse access token",
            },
        ))
    }

    pub(crate) fn lets_in(&self, token: Option<&str>) -> bool {
        match (&self.settings.token, token) {
            (_, None | Some("")) => false,
            (None, Some(_)) => true,
            (Some(wanted), Some(token)) => wanted == token,
        }
    }

    /// Whether there is such a path behind this door.
    pub(crate) fn knows(&self, route: &Route, path: &str) -> Result<(), Refusal> {
        let known = match (self.settings.dialect, route) {
            (_, Route::Unknown) => false,
            (Dialect::Any, _) => true,
            (Dialect::Meta, Route::Messages { number } | Route::Media { number }) => number.is_some(),
            (Dialect::Meta, route) => *route != Route::Health,
            (Dialect::ThreeSixty, Route::Messages { number } | Route::Media { number }) => {
                number.is_none() && !Route::has_version(path)
            }
            (Dialect::ThreeSixty, Route::Node { .. } | Route::Download { .. } | Route::Health) => {
                !Route::has_version(path)
            }
            (
                Dialect::ThreeSixty,
                Route::Configure { .. }
                | Route::Settings { .. }
                | Route::Subscriptions { .. }
                | Route::DebugToken { .. },
            ) => false,
        };
        match self.settings.dialect {
            _ if known => Ok(()),
            Dialect::ThreeSixty => Err(Refusal::of_provider(403, "The endpoint is blocked")),
            Dialect::Any | Dialect::Meta => Err(Refusal::because(100, "Unsupported request.")),
        }
    }
}
