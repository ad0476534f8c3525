//! The certificate in use, which may change while connections are open.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Shows the same certificate to everybody, whatever name they ask for: Meta asks for one name
/// only, and a relay perhaps for none.
#[derive(Debug, Default)]
pub(super) struct Resolver(RwLock<Shown>);

#[derive(Debug, Default)]
struct Shown {
    /// None: whoever asks is turned away.
    key: Option<Arc<CertifiedKey>>,
    /// A name that nobody else knows, and what is shown to whoever asks for it.
    inside: Option<(String, Arc<CertifiedKey>)>,
}

impl Resolver {
    /// What is shown now.
    pub(super) fn current(&self) -> Option<Arc<CertifiedKey>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).key.clone()
    }

    /// Uses `key` for every handshake from now on.
    pub(super) fn replace(&self, key: Arc<CertifiedKey>) {
        let mut shown = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *shown = Shown { key: Some(key), inside: None };
    }

    /// Shows `key` to whoever asks for `name`, until there is a certificate for everybody.
    pub(super) fn show_inside(&self, name: String, key: Arc<CertifiedKey>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).inside = Some((name, key));
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let shown = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = &shown.key {
            return Some(Arc::clone(key));
        }
        let (name, key) = shown.inside.as_ref()?;
        (hello.server_name() == Some(name)).then(|| Arc::clone(key))
    }
}
