//! What is kept of account, order and certificate.

use model::WallTime;
use policy::renewal::{Choice, Kept, Life};
use ring::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};

/// File of [`Account`].
pub(super) const ACCOUNT: &str = "account.json";
/// File of [`Order`].
pub(super) const ORDER: &str = "order.json";
/// File of [`Certificate`].
pub(super) const CERTIFICATE: &str = "certificate.json";
/// File of [`Renewal`].
pub(super) const RENEWAL: &str = "renewal.json";

/// What was asked for: from whom, for which names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Wanted {
    /// URL of the authority's directory.
    pub(crate) directory: String,
    /// In lower case, in order, each once.
    pub(crate) names: Vec<String>,
}

/// The account at an authority. It is written with its key before the authority hears of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Account {
    /// Whose account it is.
    pub(super) directory: String,
    /// PKCS#8 in PEM.
    pub(super) key: String,
    /// What the authority calls it; `None` until it has said.
    pub(super) url: Option<String>,
    /// The contact that the authority was told last.
    pub(super) contact: Option<String>,
}

/// An order that isn't over: a restart goes on with it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) wanted: Wanted,
    /// The account that has ordered, by its URL.
    pub(super) account: String,
    /// What the authority calls it.
    pub(super) url: String,
    /// The key of the certificate to be: PKCS#8 in PEM.
    pub(super) key: String,
}

/// A certificate with its key: one file, so that a power cut can't part them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Certificate {
    pub(super) wanted: Wanted,
    /// PEM, the box's own first.
    pub(super) chain: String,
    /// PKCS#8 in PEM.
    pub(super) key: String,
    /// When it came, by the clock of then.
    pub(super) got: WallTime,
    /// The account that ordered it, by its URL; absent in what was written before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) account: Option<String>,
}

/// How renewing stands, so that a restart doesn't begin anew.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Renewal {
    /// What the rest is about.
    pub(super) wanted: Wanted,
    /// The pace of attempts.
    pub(super) pace: Kept,
    /// The last failure in words, and what to do next.
    pub(super) last_error: Option<[String; 2]>,
    /// Proofs of names that failed since the last success: which way of proof comes next.
    pub(super) proofs_failed: u32,
    /// The certificate that the following is about, by [`Certificate::id`].
    pub(super) certificate: String,
    /// The moment that was chosen of the authority's window.
    pub(super) choice: Option<Choice>,
    /// Milliseconds that the box itself saw pass since the certificate came.
    pub(super) watched_ms: u64,
}

impl Certificate {
    /// The box's own certificate in DER.
    pub(super) fn own(&self) -> Option<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(self.chain.as_bytes()).next()?.ok()
    }

    pub(super) fn life(&self) -> Option<Life> {
        let [begins, ends] = ingress::validity(&self.own()?)?;
        Some(Life { begins, ends })
    }

    /// Tells it from others.
    pub(super) fn id(&self) -> String {
        let hash = digest(&SHA256, self.chain.as_bytes());
        hash.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::folder::{Folder, Found};
    use super::*;

    fn there<T>(found: Found<T>) -> T {
        match found {
            Found::There(read) => read,
            Found::Nothing => panic!("the fixture is gone"),
            Found::Spoilt(why) | Found::Unread(why) => panic!("{why}"),
        }
    }

    #[tokio::test]
    async fn files_of_version_1_stay_readable() {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/app/acme/fixture_v1");
        let (folder, to) = (Folder::new(fixture.clone()), tempfile::tempdir().unwrap());
        let written = Folder::new(to.path().to_owned());
        let wanted = Wanted {
            directory: "https://acme.example/directory".to_owned(),
            names: vec!["box.example.com".to_owned(), "shop.example.com".to_owned()],
        };
        let account: Account = there(folder.read(ACCOUNT));
        assert_eq!(account.url.as_deref(), Some("https://acme.example/account/1"));
        let order: Order = there(folder.read(ORDER));
        assert_eq!((&order.wanted, order.url.as_str()), (&wanted, "https://acme.example/order/7"));
        let certificate: Certificate = there(folder.read(CERTIFICATE));
        assert_eq!((&certificate.wanted, certificate.got), (&wanted, WallTime(1_795_132_800_000)));
        assert_eq!(certificate.account, None);
        ingress::Tls::check(&certificate.chain, &certificate.key).unwrap();
        let renewal: Renewal = there(folder.read(RENEWAL));
        assert_eq!((renewal.pace.failures, renewal.certificate.as_str()), (2, certificate.id().as_str()));
        assert!(renewal.choice.is_some() && renewal.last_error.is_some());
        // And what is written today is the same, to the byte.
        written.put(ACCOUNT, &account).await.unwrap();
        written.put(ORDER, &order).await.unwrap();
        written.put(CERTIFICATE, &certificate).await.unwrap();
        written.put(RENEWAL, &renewal).await.unwrap();
        for name in [ACCOUNT, ORDER, CERTIFICATE, RENEWAL] {
            let read = |folder: &Path| std::fs::read_to_string(folder.join(name)).unwrap();
            assert_eq!(read(to.path()), read(&fixture).trim_end(), "{name}");
        }
    }
}
