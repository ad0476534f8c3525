//! Whom the box trusts.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::EgressError;

/// TLS for HTTP/1.1, with the root certificates of the system, or, on a system that has none, those
/// of Mozilla that are compiled in; and with `extra_roots`, in PEM.
///
/// # Errors
/// When a certificate of `extra_roots` is none, or TLS can't be set up.
pub(crate) fn config(extra_roots: &[u8]) -> Result<ClientConfig, EgressError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    for (place, extra) in CertificateDer::pem_slice_iter(extra_roots).enumerate() {
        let number = place + 1;
        let extra = extra.map_err(|error| EgressError::Root { number, reason: error.to_string() })?;
        roots.add(extra).map_err(|error| EgressError::Root { number, reason: error.to_string() })?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(tls)
}
