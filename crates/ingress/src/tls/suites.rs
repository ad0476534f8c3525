//! What is spoken: TLS 1.3 and 1.2, with fresh keys for each session and authenticated encryption only.

use std::sync::Arc;

use rustls::SupportedCipherSuite;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{self, cipher_suite, kx_group};

/// Every suite that is taken, the best first; a client that has none of these is turned away. All that the library
/// has today, named so that it gets no more by an update: no RSA key exchange, no CBC, no SHA-1, nothing of export.
const SUITES: [SupportedCipherSuite; 9] = [
    cipher_suite::TLS13_AES_256_GCM_SHA384,
    cipher_suite::TLS13_AES_128_GCM_SHA256,
    cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
];

/// ring, with the suites of [`SUITES`].
pub(super) fn provider() -> Arc<CryptoProvider> {
    let kx_groups = vec![kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1];
    Arc::new(CryptoProvider { cipher_suites: SUITES.to_vec(), kx_groups, ..ring::default_provider() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_suites_are_sound_and_the_library_has_no_other() {
        let default = ring::default_provider();
        let names = |provider: &CryptoProvider| {
            let mut names: Vec<_> =
                provider.cipher_suites.iter().map(|one| format!("{:?}", one.suite())).collect();
            names.sort();
            names
        };
        assert_eq!(names(&provider()), names(&default), "look at what is new, or gone, before it is taken");
        assert_eq!(format!("{:?}", provider().kx_groups), format!("{:?}", default.kx_groups));
        for suite in SUITES {
            let name = format!("{:?}", suite.suite());
            assert!(name.contains("GCM") || name.contains("POLY1305"), "{name}");
            let fresh_keys = name.starts_with("TLS13_") || name.starts_with("TLS_ECDHE_");
            assert!(fresh_keys, "{name}");
        }
    }
}
