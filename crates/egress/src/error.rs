//! What can go wrong before anything is sent.

use crate::Endpoint;

/// No HTTP client could be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EgressError {
    /// A root certificate of the operator can't be read; the operator must replace the file.
    #[error("root certificate {number} in the file is not a certificate in PEM: {reason}")]
    Root {
        /// Which one, counted from 1.
        number: usize,
        /// What the parser says.
        reason: String,
    },
    /// The TLS settings don't go together; ours to fix.
    #[error("the TLS settings are refused: {0}")]
    Tls(#[from] rustls::Error),
    /// The URL of the endpoint names a host that no certificate can be checked against; the operator
    /// must correct it.
    #[error("the endpoint's URL names a host that no certificate can hold")]
    Host,
    /// An endpoint can't be used; the operator must correct it.
    #[error("endpoint {name}: {error}")]
    Endpoint {
        /// Its name.
        name: String,
        /// What is wrong with it.
        #[source]
        error: Box<EgressError>,
    },
    /// The endpoints and those of the group that watches them aren't the same; ours to fix.
    #[error("the endpoints of the CRM aren't those that are watched, or there is none")]
    Group,
    /// The settings of the client don't go together; ours to fix.
    #[error("the HTTP client can't be made: {0}")]
    Client(#[from] reqwest::Error),
}

impl EgressError {
    pub(crate) fn of(self, endpoint: &Endpoint) -> Self {
        Self::Endpoint { name: endpoint.name().to_owned(), error: Box::new(self) }
    }
}

/// A URL that nothing can be sent to; the operator must correct it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// It is no URL.
    #[error("it is not a URL: {0}")]
    NotAUrl(String),
    /// It is neither `http` nor `https`.
    #[error("it must begin with http:// or https://")]
    Scheme,
    /// It holds a user name or password, which would end up in places where secrets don't belong.
    #[error("it must not hold a user name or password")]
    Credentials,
    /// It holds a query or a fragment, and a path is still to be put behind it.
    #[error("it must not hold a query or a fragment, for a path goes behind it")]
    Query,
    /// The path that goes behind it isn't one.
    #[error("the path behind it must begin with a slash and hold no query and no `..`")]
    Path,
    /// The header for the token can't be one.
    #[error("the name of the header for the token is none")]
    Header,
    /// The token can't be sent.
    #[error("the token holds something that can't stand in a header")]
    Token,
}

/// The journal couldn't be read: the disk's fault, or a store that is being reopened. Delivery
/// waits and reads again.
#[derive(Debug, thiserror::Error)]
#[error("the journal can't be read: {0}")]
pub struct JournalError(#[source] pub Box<dyn std::error::Error + Send + Sync>);
