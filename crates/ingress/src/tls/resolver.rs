//! The certificate in use, which may change while connections are open.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Shows the same certificate to everybody, whatever name they ask for: Meta asks for one name
/// only, and a relay perhaps for none.
#[derive(Debug)]
pub(super) struct Resolver(RwLock<Arc<CertifiedKey>>);

impl Resolver {
    pub(super) const fn new(key: Arc<CertifiedKey>) -> Self {
        Self(RwLock::new(key))
    }

    /// What is shown now.
    pub(super) fn current(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Uses `key` for every handshake from now on.
    pub(super) fn replace(&self, key: Arc<CertifiedKey>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = key;
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}
