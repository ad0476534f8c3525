//! Whom the box trusts.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::EgressError;

/// TLS sessions that an endpoint may resume, by host: its own, and those that files come from.
const SESSIONS_MAX: usize = 8;

/// The configurations in use, by their extra roots: as many as there are files of roots.
static IN_USE: Mutex<Vec<(Vec<u8>, Weak<ClientConfig>)>> = Mutex::new(Vec::new());

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
    add(&mut roots, extra_roots)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(tls)
}

/// The same for whoever shares it: the roots of the world are in memory once for all that trust
/// the same, and none when nobody uses them. Each takes sessions of its own with [`sessions`].
///
/// # Errors
/// As [`config`].
pub(crate) fn shared(extra_roots: &[u8]) -> Result<Arc<ClientConfig>, EgressError> {
    let mut in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
    in_use.retain(|(_, config)| config.strong_count() > 0);
    let known = in_use.iter().find(|(roots, _)| roots == extra_roots);
    if let Some(config) = known.and_then(|(_, config)| config.upgrade()) {
        return Ok(config);
    }
    let made = Arc::new(config(extra_roots)?);
    in_use.push((extra_roots.to_vec(), Arc::downgrade(&made)));
    Ok(made)
}

/// A configuration that trusts the same and has TLS sessions of its own, or none: where a session is
/// resumed nobody looks at the certificate again.
pub(crate) fn sessions(config: &ClientConfig, resume: bool) -> ClientConfig {
    let mut config = config.clone();
    config.resumption =
        if resume { Resumption::in_memory_sessions(SESSIONS_MAX) } else { Resumption::disabled() };
    config
}

/// Whether root certificates can be used.
///
/// # Errors
/// When one of them is none, with its place, or something is there that holds none.
pub(crate) fn check(extra_roots: &[u8]) -> Result<(), EgressError> {
    add(&mut RootCertStore::empty(), extra_roots)
}

fn add(roots: &mut RootCertStore, extra_roots: &[u8]) -> Result<(), EgressError> {
    let before = roots.len();
    for (place, extra) in CertificateDer::pem_slice_iter(extra_roots).enumerate() {
        let number = place + 1;
        let extra = extra.map_err(|error| EgressError::Root { number, reason: error.to_string() })?;
        roots.add(extra).map_err(|error| EgressError::Root { number, reason: error.to_string() })?;
    }
    if roots.len() == before && !extra_roots.is_empty() {
        return Err(EgressError::Root { number: 1, reason: "the file holds none".to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rcgen::generate_simple_self_signed;

    use super::*;

    #[test]
    fn who_trusts_the_same_shares_it_for_as_long_as_it_is_used() {
        let root = generate_simple_self_signed(["a.example".to_owned()]).unwrap().cert.pem();
        let (one, two) = (shared(root.as_bytes()).unwrap(), shared(root.as_bytes()).unwrap());
        assert!(Arc::ptr_eq(&one, &two));
        let other = generate_simple_self_signed(["b.example".to_owned()]).unwrap().cert.pem();
        assert!(!Arc::ptr_eq(&one, &shared(other.as_bytes()).unwrap()));
        let gone = Arc::downgrade(&one);
        drop((one, two));
        assert!(gone.upgrade().is_none(), "nothing is kept for nobody");
    }

    #[test]
    fn a_file_without_a_root_is_wrong_and_no_file_is_not() {
        let root = generate_simple_self_signed(["a.example".to_owned()]).unwrap().cert.pem();
        check(b"").unwrap();
        check(root.as_bytes()).unwrap();
        let broken = format!("{root}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        for (pem, place) in [("not PEM at all", 1), ("\n", 1), (&broken, 2)] {
            let error = check(pem.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(&format!("root certificate {place} in the file")), "{error}");
        }
    }
}
