//! A box, with a certificate for its public name from an authority that vouches for nobody else.

use std::process::Stdio;

use simulate::whatsapp::{PayloadOptions, Payloads};

use super::Far;
use super::far::Answer;
use super::net::Net;
use crate::harness::front::Authority;
use crate::harness::{Appliance, Ledger, Site, secret};

/// Customers who write; some of what they do is a status, which has no words.
const CONTACTS: u32 = 5;

/// One box and what it is sent.
pub(super) struct Shop {
    pub(super) name: &'static str,
    site: Site,
    pub(super) appliance: Appliance,
    /// The private key of its certificate, as PEM.
    key: String,
    payloads: Payloads,
    source: String,
}

impl Shop {
    /// Starts a box that listens at `listen`; `relays` are the lines for `[webhook]` that name them.
    pub(super) async fn open(name: &'static str, listen: &str, relays: &str) -> Self {
        let (mut site, authority) = (Site::without_crm(), Authority::new());
        let (certificate, key) = authority.vouch_for(name);
        site.put("authority.pem", authority.pem.as_bytes());
        site.put("cert.pem", certificate.as_bytes());
        site.put("key.pem", key.as_bytes());
        site.tls = "certificate = \"cert.pem\"\nkey = \"key.pem\"".into();
        site.webhook_keys = relays.into();
        let text = site.text();
        let own = |port: u16| format!("listen = \"127.0.0.1:{port}\"");
        let (webhook, api) = (own(site.webhook_port), own(site.api_port));
        assert!(text.contains(&webhook) && text.contains(&api));
        // In its network nobody else has a port; and what doesn't reach the API fails for want of a way, not of a
        // listener.
        let text = text.replace(&webhook, &format!("listen = \"{listen}\""));
        let text = text.replace(&api, &format!("listen = \"0.0.0.0:{}\"", site.api_port));
        site.put("wagate.toml", text.as_bytes());
        let appliance = Appliance::start_as_is(&site).await;
        let options = PayloadOptions { contacts: CONTACTS, ..PayloadOptions::default() };
        let source = options.source();
        Self { name, site, appliance, key, payloads: Payloads::new(options), source }
    }

    /// Writes a file beside those of the box; gives its path.
    pub(super) fn put(&self, name: &str, content: &[u8]) -> String {
        self.site.put(name, content);
        self.site.path().join(name).to_str().unwrap().to_owned()
    }

    /// Whom its certificate is believed by.
    pub(super) fn authority(&self) -> String {
        self.site.path().join("authority.pem").to_str().unwrap().to_owned()
    }

    /// A line of its private key, by which that is told.
    pub(super) fn key_line(&self) -> String {
        self.key.lines().nth(1).unwrap().to_owned()
    }

    /// Posts a rightly signed webhook from afar; where it gets its 200, its records are there.
    pub(super) async fn webhook(&mut self, far: &Far<'_>, from: &str) -> Answer {
        let body = self.payloads.next().unwrap();
        let answer = far.post(self, from, &body.bytes, &secret().sign(&body.bytes));
        if answer == Ok(200) {
            let ledger = Ledger::pull(&self.appliance.api).await;
            for item in body.items.iter() {
                assert!(ledger.sequence(&self.source, &item.id).is_some(), "acknowledged and not there");
            }
        }
        answer
    }

    /// Posts a rightly signed one of over 3 MB, as large as Meta's may be.
    pub(super) fn large_webhook(&self, far: &Far<'_>, from: &str) -> Answer {
        let body = format!(
            "{{\"object\":\"whatsapp_business_account\",\"entry\":[],\"x\":\"{}\"}}",
            "x".repeat(3_000_000)
        );
        far.post(self, from, body.as_bytes(), &secret().sign(body.as_bytes()))
    }

    /// The box sees who is calling: one who floods it uses up his own budget, and nobody else's.
    pub(super) async fn tells_senders_apart(&mut self, far: &Far<'_>, good: &str, bad: &str) {
        let flood = far.flood(self, bad);
        assert!(flood[0] == 401 && flood[flood.len() - 1] == 429, "{flood:?}");
        assert_eq!(far.unsigned(self, good), Ok(401), "another's flood is counted against {good}");
        assert_eq!(self.webhook(far, bad).await, Ok(200), "rightly signed, whatever else came from there");
    }

    /// The box sees the relay alone: a flood uses up everybody's budget, and rightly signed webhooks need none.
    pub(super) async fn takes_what_is_signed_from_all_alike(&mut self, far: &Far<'_>, good: &str, bad: &str) {
        let flood = far.flood(self, bad);
        assert!(flood[0] == 401 && flood[flood.len() - 1] == 429, "{flood:?}");
        let answers = far.no_flood(self, good);
        assert!(answers.contains(&429), "everybody comes from one address: {answers:?}");
        assert_eq!(self.webhook(far, good).await, Ok(200));
    }

    /// Nobody there reaches the API by any of these addresses, which it listens at.
    pub(super) fn api_is_out_of_reach(&self, net: &Net, role: &str, addresses: &[&str]) {
        let ask = |address: &&str| {
            let url = format!("http://{address}:{}/healthz", self.site.api_port);
            let mut curl = net.command(role, "curl");
            curl.args(["--silent", "--noproxy", "*", "--max-time", "1", &url]).stdout(Stdio::null());
            (curl.spawn().unwrap(), url)
        };
        // At once: each is waited for in vain.
        let asked: Vec<_> = addresses.iter().map(ask).collect();
        for (mut curl, url) in asked {
            assert_eq!(curl.wait().unwrap().code(), Some(28), "{url} can be reached from {role}");
        }
    }
}
