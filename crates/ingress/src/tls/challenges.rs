//! What an authority is shown that asks whether a name is ours: TLS-ALPN-01, RFC 8737.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::{ClientHello, NoServerSessionStorage};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::{Tls, TlsError};

/// The protocol that such a connection is for (RFC 8737, section 6.2).
const PROTOCOL: &[u8] = b"acme-tls/1";

type Pending = Arc<Mutex<BTreeMap<String, Arc<CertifiedKey>>>>;

/// The certificates that are shown to an authority, by the names that it asks for: as many as an order has names.
#[derive(Debug, Default)]
pub(super) struct Challenges(Pending);

impl Challenges {
    /// How to go on with a connection that is such a question and nothing else; `None` for every other.
    pub(super) fn answer(
        &self,
        hello: &ClientHello<'_>,
        provider: &Arc<CryptoProvider>,
    ) -> Option<Arc<ServerConfig>> {
        let mut protocols = hello.alpn()?;
        if protocols.next() != Some(PROTOCOL) || protocols.next().is_some() {
            return None;
        }
        let name = hello.server_name()?.to_ascii_lowercase();
        let key = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&name).cloned()?;
        let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
            .with_safe_default_protocol_versions()
            .ok()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        // Nobody comes back to it.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Some(Arc::new(config))
    }
}

/// A question of an authority that is answered for as long as this lives.
#[derive(Debug)]
pub struct Challenge {
    pending: Pending,
    name: String,
}

impl Drop for Challenge {
    fn drop(&mut self) {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

impl Tls {
    /// Answers whoever asks for `name` by `acme-tls/1` with a certificate that bears `digest`, the SHA-256 of the
    /// key authorization (RFC 8737, section 3), for as long as what is given lives. For a managed certificate.
    ///
    /// # Errors
    /// When the name can't stand in a certificate, the system has no randomness, or the certificate isn't managed.
    pub fn challenge(&self, name: &str, digest: &[u8; 32]) -> Result<Challenge, TlsError> {
        let challenges = self.shared.challenges.as_ref();
        let challenges = challenges.ok_or_else(|| TlsError::Unusable("its source is another".to_owned()))?;
        let key = KeyPair::generate().map_err(TlsError::Make)?;
        let name = name.to_ascii_lowercase();
        let mut parameters = CertificateParams::new(vec![name.clone()]).map_err(TlsError::Make)?;
        parameters.distinguished_name = DistinguishedName::new();
        parameters.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
        let certificate = parameters.self_signed(&key).map_err(TlsError::Make)?;
        let der = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let der = self.shared.provider.key_provider.load_private_key(der).map_err(TlsError::Setup)?;
        // Put together unchecked: the check stumbles over the extension, which has to be critical.
        let key = CertifiedKey::new(vec![certificate.der().clone()], der);
        let mut pending = challenges.0.lock().unwrap_or_else(PoisonError::into_inner);
        pending.insert(name.clone(), Arc::new(key));
        Ok(Challenge { pending: Arc::clone(&challenges.0), name })
    }
}
