//! The shop around the box: its CRM on this machine, and the configuration that a person wrote.

use std::collections::BTreeSet;

use model::signature::standard_webhooks::SigningSecret;
use simulate::crm::{Crm, CrmOptions, Keep};

use super::{BOOT, within};

pub(crate) const API_TOKEN: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const APP_SECRET: &str = "the secret of the app 7c1f";
pub(crate) const CRM_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// This machine, as a guest of QEMU's user network sees it.
pub(super) const HOST: &str = "10.0.2.2";

/// A CRM, and what the box has to know of it.
#[derive(Debug)]
pub(crate) struct Shop {
    pub(crate) crm: Crm,
}

impl Shop {
    pub(crate) fn open() -> Self {
        let mut options = CrmOptions::new("127.0.0.1:0".parse().unwrap());
        options.signing_secrets = vec![SigningSecret::parse(CRM_SECRET).unwrap()];
        options.keep = Keep::Counters;
        Self { crm: Crm::start(options).unwrap() }
    }

    /// Waits until the CRM has all of these records.
    pub(crate) async fn gets(&self, ids: &BTreeSet<String>) {
        assert!(!ids.is_empty());
        let source = super::load::payloads(0).source();
        within(BOOT, "the CRM gets every record", async || {
            self.crm.missing(&source, ids.iter().map(String::as_str)).is_empty().then_some(())
        })
        .await;
        self.crm.look(|observed| assert!(observed.is_clean(), "{:#?}", observed.complaints()));
    }

    /// `wagate.toml` and the files that it names.
    pub(crate) fn files(&self) -> Vec<(String, Vec<u8>)> {
        let port = self.crm.address().port();
        let text = format!(
            r#"[webhook]
listen = "0.0.0.0:443"
verify_token = "file:verify_token"
app_secret = "file:app_secret"
[webhook.tls]
self_signed = true
[api]
listen = "0.0.0.0:8080"
token = "file:api_token"
[crm]
signing_secret = "file:crm_secret"
[[crm.endpoints]]
name = "primary"
url = "http://{HOST}:{port}/wagate"
[[numbers]]
phone_number_id = "106540352242922"
phone = "+15550783881"
"#
        );
        let files = [
            ("wagate.toml", text.as_str()),
            ("verify_token", "the words of the dashboard"),
            ("app_secret", APP_SECRET),
            ("api_token", API_TOKEN),
            ("crm_secret", CRM_SECRET),
        ];
        files.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec())).to_vec()
    }
}
