//! Where records go.

use std::time::Duration;

use reqwest::Url;

use crate::EndpointError;

/// A place that takes records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    name: String,
    url: Url,
    timeout: Option<Duration>,
    roots: Vec<u8>,
}

impl Endpoint {
    /// Takes `name` and `url` from the configuration.
    ///
    /// # Errors
    /// When `url` isn't an `http` or `https` URL, or holds credentials.
    pub fn new(name: &str, url: &str) -> Result<Self, EndpointError> {
        let url = Url::parse(url).map_err(|error| EndpointError::NotAUrl(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(EndpointError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointError::Credentials);
        }
        Ok(Self { name: name.to_owned(), url, timeout: None, roots: Vec::new() })
    }

    /// With a time of its own for a whole request, where not that of all endpoints
    /// ([`crate::ClientSettings::request_timeout`]) is to hold.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// With root certificates of its own in PEM, on top of those of all endpoints.
    #[must_use]
    pub fn with_roots(mut self, pem: Vec<u8>) -> Self {
        self.roots = pem;
        self
    }

    /// The name of the configuration, for logs and metrics.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where to POST.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    pub(crate) const fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    pub(crate) fn roots(&self) -> &[u8] {
        &self.roots
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_http_and_https_and_nothing_else() {
        for good in ["http://127.0.0.1:9000/wagate", "https://crm.store.lan/a?b=c", "http://[::1]:1"] {
            assert_eq!(Endpoint::new("primary", good).unwrap().name(), "primary", "{good}");
        }
        for (bad, error) in [
            ("ftp://crm.store.lan", EndpointError::Scheme),
            ("mailto:a@b", EndpointError::Scheme),
            ("http://user:secret@crm.store.lan", EndpointError::Credentials),
        ] {
            assert_eq!(Endpoint::new("primary", bad), Err(error), "{bad}");
        }
        for bad in ["", "crm.store.lan", "http://", "http://[::1"] {
            assert!(matches!(Endpoint::new("primary", bad), Err(EndpointError::NotAUrl(_))), "{bad}");
        }
    }
}
