//! Files of certificates, tried as a start tries them.
//!
//! Apart from [`super::load`], which only looks whether they are there: a command that asks the running gateway has no
//! use for them, and shall not be kept from asking while one is being exchanged.

use std::path::Path;

use ingress::{Source as Certificate, TlsError};

use super::{ApiTls, Loaded, Problem, Severity, Tls, strings};

impl Loaded {
    /// What `run` couldn't start with: a certificate whose key is another's, authorities none of which can be used.
    #[must_use]
    pub fn unusable(&self) -> Vec<Problem> {
        let (webhook, api) = (&self.config.webhook, &self.config.api);
        let mut wrong = Vec::new();
        let mut add = |key: &str, tried: Result<(), TlsError>| {
            wrong.extend(tried.err().map(|error| self.problem(key, &error)));
        };
        if let Tls::Files { certificate, key, .. } = &webhook.tls {
            add("webhook.tls.certificate", certificate_and_key(certificate, key));
        }
        if let ApiTls::Files { certificate, key } = &api.tls {
            add("api.tls.certificate", certificate_and_key(certificate, key));
        }
        for (key, asked) in [
            ("webhook.client_auth.ca", webhook.client_auth.asked()),
            ("api.client_auth.ca", api.client_auth.asked()),
        ] {
            if let Some(asked) = asked {
                add(key, ingress::client_roots(&asked.ca).map(drop));
            }
        }
        wrong
    }

    /// At `key`, or at the private key beside it.
    fn problem(&self, key: &str, error: &TlsError) -> Problem {
        let of_the_key = matches!(error, TlsError::Key(..));
        let key = if of_the_key { key.replace(".certificate", ".key") } else { key.to_owned() };
        let help = of_the_key.then(|| "the key that the certificate was made for".to_owned());
        let texts = strings(self.source());
        let span = texts.into_iter().find(|text| text.path == key).map(|text| text.span);
        Problem { severity: Severity::Mistake, span, key, message: error.to_string(), help }
    }
}

fn certificate_and_key(certificate: &Path, key: &Path) -> Result<(), TlsError> {
    let source = Certificate::Files { certificate: certificate.to_owned(), key: key.to_owned(), ocsp: None };
    ingress::Tls::open(&source).map(drop)
}
