//! The store side: who may ask what, and over what.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::super::Secret;
use super::ClientAuthMode;

/// `[api]`
#[derive(Debug, Clone)]
pub struct Api {
    /// The listener on the store's side.
    pub listen: SocketAddr,
    /// The bearer token that may do everything: one, or two while it is rotated.
    pub token: Vec<Secret>,
    /// Who has a token of its own; no two tokens of the table are the same.
    pub clients: Vec<ApiClient>,
    /// What the listener speaks below HTTP.
    pub tls: ApiTls,
    /// Whether clients have to show a certificate, too.
    pub client_auth: ApiClientAuth,
}

impl Api {
    /// Clients with a token of their own, at most: a shop has a few programs, and each request is held against
    /// every token.
    pub const CLIENTS_MAX: usize = 32;
    /// Characters of a client's name.
    pub const NAME_MAX: usize = 32;
    /// A token with fewer characters is warned of. 16 of base 64 are 96 bits.
    pub const TOKEN_SHORT: usize = 16;
}

/// One of `[[api.clients]]`
#[derive(Debug, Clone)]
pub struct ApiClient {
    /// 1 to [`Api::NAME_MAX`] of a-z, 0-9 and `-`; no two are the same.
    pub name: String,
    /// One token, or two while it is rotated.
    pub token: Vec<Secret>,
    /// What it may do; at least one thing.
    pub scopes: Scopes,
}

/// What a token may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// To read what the box holds and how it is.
    Read,
    /// To send messages, and what goes with it.
    Send,
    /// To look after the box: everything else that changes something, and the audit log.
    Operate,
}

impl Scope {
    /// All of them, in the order of the configuration's words.
    pub const ALL: [Self; 3] = [Self::Read, Self::Send, Self::Operate];

    /// The word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Send => "send",
            Self::Operate => "operate",
        }
    }
}

/// Some scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// Everything.
    pub const ALL: Self = Self(0b111);

    /// Those of `scopes`.
    #[must_use]
    pub fn of(scopes: &[Scope]) -> Self {
        Self(scopes.iter().fold(0, |bits, scope| bits | bit(*scope)))
    }

    /// Whether `scope` is among them.
    #[must_use]
    pub const fn has(self, scope: Scope) -> bool {
        self.0 & bit(scope) != 0
    }
}

const fn bit(scope: Scope) -> u8 {
    1 << scope as u8
}

/// `[api.tls]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiTls {
    /// Plain HTTP.
    Off,
    /// A certificate of the box's own making, kept in the store.
    SelfSigned {
        /// Names and addresses that it bears besides those of loopback.
        names: Vec<String>,
    },
    /// A chain and its key in PEM files.
    Files {
        /// The chain, the listener's own certificate first.
        certificate: PathBuf,
        /// The private key.
        key: PathBuf,
    },
}

/// `[api.client_auth]`; only with TLS is `mode` anything but off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiClientAuth {
    /// Whether a certificate is asked for.
    pub mode: ClientAuthMode,
    /// The roots that it has to come from; there unless `mode` is off.
    pub ca: Option<PathBuf>,
    /// The name that it has to bear; `None` for any.
    pub name: Option<String>,
    /// Certificate and key that the operator's commands show.
    pub operator: Option<PathBuf>,
}

impl ApiClientAuth {
    /// What the listener is told; `None` where nobody is asked.
    #[must_use]
    pub fn asked(&self) -> Option<ingress::ClientAuth> {
        let required = self.mode.required()?;
        Some(ingress::ClientAuth {
            whom: ingress::Whom::Programs,
            required,
            ca: self.ca.clone()?,
            name: self.name.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_hold_what_they_are_made_of() {
        for scope in Scope::ALL {
            assert!(Scopes::ALL.has(scope) && Scopes::of(&[scope]).has(scope));
            assert!(!Scopes::of(&[]).has(scope));
            assert_eq!(Scope::ALL.iter().filter(|other| Scopes::of(&[scope]).has(**other)).count(), 1);
        }
        assert_eq!(Scope::ALL.map(Scope::as_str), crate::config::keys::SCOPES);
    }
}
