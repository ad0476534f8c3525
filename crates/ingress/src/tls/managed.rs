//! A certificate that is handed over while the listener runs.

use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair, PublicKeyData as _};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use tracing::info;

use super::files::Identity;
use super::validity::validity;
use super::{Tls, TlsError};

/// Bytes of a public key that make a name nobody guesses; two digits each, and a label has room for 63.
const NAME_BYTES: usize = 30;

impl Tls {
    /// Shows this chain, PEM with the box's own certificate first, in every handshake from now on. Open connections
    /// keep what they have.
    ///
    /// # Errors
    /// When it is no chain, or `key` (PEM) isn't its key; the certificate in use stays.
    pub fn install(&self, chain: &str, key: &str) -> Result<(), TlsError> {
        let identity = parse(chain, key, &self.shared.provider)?;
        info!(expires = %identity.life[1], "loaded the certificate");
        self.take(&mut self.state(), identity);
        Ok(())
    }

    /// Whether [`Tls::install`] would take this.
    ///
    /// # Errors
    /// As there.
    pub fn check(chain: &str, key: &str) -> Result<(), TlsError> {
        parse(chain, key, &rustls::crypto::ring::default_provider()).map(|_| ())
    }

    /// A name that only this process knows, and the certificate (DER) that is shown to whoever asks for it, while
    /// there is none for everybody: so that the box can call itself before an authority has given it anything.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn inside(&self) -> Result<(String, Vec<u8>), TlsError> {
        let key = KeyPair::generate().map_err(TlsError::Make)?;
        let name = self.own_name().unwrap_or_else(|| {
            // Behind the first byte, which says how the point is written.
            let digits = key.der_bytes().iter().skip(1).take(NAME_BYTES);
            digits.map(|byte| format!("{byte:02x}")).collect::<String>() + ".invalid"
        });
        let certificate = CertificateParams::new(vec![name.clone()])
            .and_then(|parameters| parameters.self_signed(&key))
            .map_err(TlsError::Make)?;
        let shown = certificate.der().to_vec();
        let der = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let key = CertifiedKey::from_der(vec![certificate.der().clone()], der, &self.shared.provider)
            .map_err(TlsError::Setup)?;
        self.shared.resolver.show_inside(name.clone(), Arc::new(key));
        Ok((name, shown))
    }
}

fn parse(chain: &str, key: &str, provider: &CryptoProvider) -> Result<Identity, TlsError> {
    let unusable = |error: &dyn std::fmt::Display| TlsError::Unusable(error.to_string());
    let chain: Vec<_> = CertificateDer::pem_slice_iter(chain.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(&error))?;
    let own = chain.first().ok_or_else(|| unusable(&"there is none in it"))?;
    let life = validity(own).ok_or_else(|| unusable(&"it is no X.509 certificate"))?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| unusable(&error))?;
    let key = CertifiedKey::from_der(chain, key, provider).map_err(|error| unusable(&error))?;
    Ok(Identity { key: Arc::new(key), life, staple: None })
}
