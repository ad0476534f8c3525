//! Which OCSP answer is shown now, if any.

use std::sync::Arc;

use model::WallTime;
use rustls::sign::CertifiedKey;
use tracing::warn;

use super::Tls;
use super::staple::Staple;

/// What came of the file, and what is made of it.
#[derive(Debug)]
pub(super) struct Stapling {
    read: Result<Staple, String>,
    /// Why nothing is shown, while nothing is.
    fault: Option<String>,
}

impl Stapling {
    /// Nothing is shown before [`Tls::show`] has said what time it is.
    pub(super) fn new(read: Result<Staple, String>) -> Self {
        Self { read, fault: None }
    }

    /// What is to be shown at `now`, else why nothing is.
    fn at(&self, now: WallTime) -> Result<&Staple, String> {
        let staple = self.read.as_ref().map_err(Clone::clone)?;
        if staple.ends > now {
            Ok(staple)
        } else {
            Err(format!("it was valid until {}", staple.ends.rfc3339_seconds()))
        }
    }
}

impl Tls {
    /// Shows the OCSP answer while it is valid at `now`, and leaves it out afterwards: a client that finds an old one
    /// may refuse the certificate, and one that finds none asks the authority.
    pub(super) fn staple(&self, now: WallTime) {
        let mut state = self.state();
        let Some(stapling) = &mut state.stapling else { return };
        let Some(current) = self.shared.resolver.current() else { return };
        let (wanted, fault) = match stapling.at(now) {
            Ok(staple) => (Some(&staple.der), None),
            Err(why) => (None, Some(why)),
        };
        if current.ocsp.as_ref() != wanted {
            let mut key = CertifiedKey::new(current.cert.clone(), Arc::clone(&current.key));
            key.ocsp = wanted.cloned();
            self.shared.resolver.replace(Arc::new(key));
        }
        if let Some(why) = fault.as_ref().filter(|_| stapling.fault != fault) {
            warn!(why, "the OCSP answer is left out of handshakes");
        }
        stapling.fault = fault;
    }

    /// What a person should see to beside the certificate itself: its OCSP answer, and the authorities of clients.
    #[must_use]
    pub fn alarms(&self) -> Vec<String> {
        let staple = self.state().stapling.as_ref().and_then(|stapling| stapling.fault.clone());
        let staple = staple.map(|why| {
            format!("the OCSP answer (`webhook.tls.ocsp`) is left out of handshakes: {why}; fetch a new one")
        });
        staple.into_iter().chain(self.client_alarms()).collect()
    }
}
