//! What stands around the box that doctor looks at.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use model::signature::standard_webhooks::SigningSecret;
use simulate::crm::{Behaviour, Crm, CrmOptions};
use simulate::graph::{Dialect, DoorSettings, Doorway, Graph, GraphSettings, Identity, Setup};

use crate::patience::LONG;
use crate::shop::Shop;

/// The whole takes less, whatever the world is like.
const BOUND: Duration = Duration::from_secs(20);

pub(super) fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// An address at which nobody listens.
pub(super) fn free() -> SocketAddr {
    TcpListener::bind(loopback()).unwrap().local_addr().unwrap()
}

/// What stands beside the box: Meta over TLS with a certificate of our own making, 360dialog, a CRM.
pub(super) struct World {
    pub(super) shop: Shop,
    pub(super) runtime: tokio::runtime::Runtime,
    pub(super) crm: Crm,
    pub(super) graph: Graph,
    pub(super) provider: Doorway,
    pub(super) webhook: SocketAddr,
    pub(super) api: SocketAddr,
}

impl World {
    /// All of it is well, with the secrets of the shop.
    pub(super) fn new() -> Self {
        let shop = Shop::new();
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        shop.secret("graph.pem", &made.cert.pem(), 0o600);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let entered = runtime.enter();
        let mut options = CrmOptions::new(loopback());
        options.signing_secrets = vec![SigningSecret::parse("secret-of-crm_secret").unwrap()];
        let webhook = free();
        let identity =
            Identity { certificate_pem: made.cert.pem(), key_pem: made.signing_key.serialize_pem() };
        let settings = GraphSettings {
            token: Some("secret-of-graph_token".to_owned()),
            dialect: Dialect::Meta,
            identity: Some(identity),
            setup: set_up(webhook),
            ..GraphSettings::new(loopback())
        };
        let (crm, graph) = (Crm::start(options).unwrap(), Graph::start(settings).unwrap());
        let provider = graph.open(DoorSettings::three_sixty(loopback(), "secret-of-bsp_token")).unwrap();
        drop(entered);
        Self { shop, runtime, crm, graph, provider, webhook, api: free() }
    }

    /// A configuration by which all is well; `more` is put behind it.
    pub(super) fn configured(&self, more: &str) -> String {
        self.written(&format!("self_signed = true\n{}{more}", self.endpoints()))
    }

    /// Meta with its authority, 360dialog behind it, and the CRM.
    pub(super) fn endpoints(&self) -> String {
        format!(
            "[[whatsapp.endpoints]]\nname = \"meta\"\nurl = \"{}\"\ntoken = \"file:graph_token\"\nca = \"graph.pem\"\n\
             [[whatsapp.endpoints]]\nname = \"backup\"\nurl = \"{}\"\nheader = \"D360-API-KEY\"\n\
             token = \"file:bsp_token\"\npath = \"/messages\"\n\
             [crm]\nsigning_secret = \"file:crm_secret\"\n[[crm.endpoints]]\nname = \"primary\"\nurl = \"{}\"\n",
            self.graph.url(),
            self.provider.url(),
            self.crm.url(),
        )
    }

    /// A configuration; `more` begins with what stands in `[webhook.tls]`.
    pub(super) fn written(&self, more: &str) -> String {
        let (webhook, api) = (self.webhook, self.api);
        let text = format!(
            "[store]\npath = \"store\"\n[api]\nlisten = \"{api}\"\ntoken = \"file:api_token\"\n\
             [[numbers]]\nphone_number_id = \"106540352242922\"\n\
             [webhook]\nlisten = \"{webhook}\"\npublic_url = \"https://{webhook}/webhook\"\n\
             verify_token = \"file:verify_token\"\napp_secret = \"file:app_secret\"\n[webhook.tls]\n{more}",
        );
        self.shop.secret("wagate.toml", &text, 0o600).display().to_string()
    }

    pub(super) fn path(&self) -> &Path {
        self.shop.path()
    }

    /// The CRM behaves so from now on.
    pub(super) fn crm_does(&self, behaviour: Behaviour) {
        self.runtime.block_on(self.crm.behave(behaviour));
    }
}

/// What is set up at Meta for a box that is well.
pub(super) fn set_up(webhook: SocketAddr) -> Setup {
    Setup { app_callback: Some(format!("https://{webhook}/webhook")), ..Setup::default() }
}

/// A running gateway; dropping it ends it.
pub(super) struct Gateway(Child);

impl Gateway {
    pub(super) fn start(config: &str, api: SocketAddr) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_wagate"))
            .args(["run", "--config", config])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let gateway = Self(child);
        let begun = Instant::now();
        while std::net::TcpStream::connect(api).is_err() {
            assert!(begun.elapsed() < LONG, "the gateway doesn't start");
            std::thread::sleep(Duration::from_millis(20));
        }
        gateway
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(super) fn doctor(arguments: &[&str]) -> (Output, String) {
    let begun = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_wagate")).arg("doctor").args(arguments).output().unwrap();
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // All that Shop makes up.
    assert!(!said.contains("secret-of"), "a secret is shown:\n{said}");
    (output, said)
}
