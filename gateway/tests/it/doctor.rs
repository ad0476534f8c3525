//! `wagate doctor` as a person runs it: the real program, against the stand-ins.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use model::signature::standard_webhooks::SigningSecret;
use serde_json::Value;
use simulate::crm::{Crm, CrmOptions};
use simulate::graph::{Graph, GraphSettings};

use crate::patience::LONG;
use crate::shop::Shop;

const CHECKS: [&str; 11] = [
    "gateway",
    "certificate",
    "clock",
    "dns",
    "reach",
    "token",
    "subscription",
    "storage",
    "crm",
    "disk",
    "flash",
];
/// The whole takes less, whatever the world is like.
const BOUND: Duration = Duration::from_secs(20);

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// An address at which nobody listens.
fn free() -> SocketAddr {
    TcpListener::bind(loopback()).unwrap().local_addr().unwrap()
}

/// What stands beside the box.
struct World {
    shop: Shop,
    _runtime: tokio::runtime::Runtime,
    crm: Crm,
    graph: Graph,
    webhook: SocketAddr,
    api: SocketAddr,
}

impl World {
    /// The CRM checks signatures of `crm_secret`, Graph wants `graph_token`.
    fn new(crm_secret: &str, graph_token: &str) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let _entered = runtime.enter();
        let mut options = CrmOptions::new(loopback());
        options.signing_secrets = vec![SigningSecret::parse(crm_secret).unwrap()];
        let settings =
            GraphSettings { token: Some(graph_token.to_owned()), ..GraphSettings::new(loopback()) };
        let (crm, graph) = (Crm::start(options).unwrap(), Graph::start(settings).unwrap());
        drop(_entered);
        Self { shop: Shop::new(), _runtime: runtime, crm, graph, webhook: free(), api: free() }
    }

    /// A configuration; `more` is put behind it.
    fn configured(&self, tls: &str, more: &str) -> String {
        let (webhook, api) = (self.webhook, self.api);
        let text = format!(
            "[store]\npath = \"store\"\n[webhook]\nlisten = \"{webhook}\"\nverify_token = \"file:verify_token\"\n\
             app_secret = \"file:app_secret\"\n[webhook.tls]\n{tls}\n[api]\nlisten = \"{api}\"\ntoken = \"file:api_token\"\n\
             [[numbers]]\nphone_number_id = \"106540352242922\"\n\
             [[whatsapp.endpoints]]\nname = \"meta\"\nurl = \"{}\"\ntoken = \"file:graph_token\"\n\
             [crm]\nsigning_secret = \"file:crm_secret\"\n\
             [[crm.endpoints]]\nname = \"primary\"\nurl = \"{}\"\n{more}",
            self.graph.url(),
            self.crm.url(),
        );
        self.shop.secret("wagate.toml", &text, 0o600).display().to_string()
    }

    fn path(&self) -> &Path {
        self.shop.path()
    }
}

/// A running gateway; dropping it ends it.
struct Gateway(Child);

impl Gateway {
    fn start(config: &str, api: SocketAddr) -> Self {
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

fn doctor(arguments: &[&str]) -> (Output, String) {
    let begun = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_wagate")).arg("doctor").args(arguments).output().unwrap();
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // All that Shop makes up.
    assert!(!said.contains("secret-of"), "a secret is shown:\n{said}");
    (output, said)
}

/// The findings in JSON, by check.
fn findings<'a>(answer: &'a Value, check: &str) -> Vec<&'a Value> {
    answer["checks"].as_array().unwrap().iter().filter(|finding| finding["check"] == check).collect()
}

#[test]
fn a_box_that_is_well_is_told_so_line_by_line() {
    let world = World::new("secret-of-crm_secret", "secret-of-graph_token");
    let config = world.configured("self_signed = true", "");
    let _gateway = Gateway::start(&config, world.api);

    let (output, said) = doctor(&["--config", &config]);
    assert!(output.stderr.is_empty() && !said.contains('\u{1b}'), "{said}");
    for part in [
        "ok    gateway       it runs and takes records; nothing waits for the CRM\n",
        "warn  certificate   self-signed, which Meta refuses; good enough for a trial on this machine\n",
        "ok    reach         meta: answers in ",
        "ok    reach         primary: answers in ",
        "ok    token         meta: accepted, with both permissions; less than a day old, it has no end\n",
        "ok    crm           primary: takes the test event in ",
        " used, ",
    ] {
        assert!(said.contains(part), "{part:?} isn't in\n{said}");
    }
    let words = said.lines().filter(|line| !line.starts_with(' '));
    let order = words
        .filter_map(|line| CHECKS.iter().position(|check| line.split_whitespace().nth(1) == Some(check)));
    let order: Vec<usize> = order.collect();
    assert!(order.is_sorted() && CHECKS.len() <= order.len(), "{said}");

    let (output, said) = doctor(&["--config", &config, "--json"]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    for check in CHECKS {
        let found = findings(&answer, check);
        assert!(!found.is_empty(), "{check} is missing in\n{said}");
        for finding in found {
            let state = finding["state"].as_str().unwrap();
            assert!(["ok", "warn", "fail", "skip"].contains(&state) && finding["summary"].is_string());
            // What the simulated Graph says of callbacks and storage is its own business.
            assert!(state != "fail" || ["subscription", "storage"].contains(&check), "{finding}");
        }
    }
    let failed = answer["checks"].as_array().unwrap().iter().any(|finding| finding["state"] == "fail");
    assert_eq!(answer["ok"], !failed);
    assert_eq!(output.status.code(), Some(i32::from(failed)));
    assert!(findings(&answer, "crm")[0]["latency_ms"].is_u64());
    assert!(findings(&answer, "disk")[0]["live_bytes"].is_u64());
    assert_eq!(findings(&answer, "gateway")[0]["undelivered"], 0);
    assert_eq!(findings(&answer, "token")[0]["about"], "meta");

    // Two test events came, and the CRM took neither for a record.
    let (records, clean) = world.crm.look(|observed| (observed.totals().records, observed.is_clean()));
    assert!(records == 0 && clean);
}

#[test]
fn what_is_wrong_is_said_with_what_to_do_and_nothing_is_touched() {
    let world = World::new("another secret", "another token");
    // Takes connections and never says a word.
    let silent = TcpListener::bind(loopback()).unwrap();
    let more = format!(
        "[[crm.endpoints]]\nname = \"second\"\nurl = \"http://{}/wagate\"\n\
         [[crm.endpoints]]\nname = \"third\"\nurl = \"http://{}/wagate\"\n",
        free(),
        silent.local_addr().unwrap()
    );
    let config = world.configured("self_signed = true", &more);
    let (output, said) = doctor(&["--config", &config]);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for part in [
        "warn  gateway       it isn't running: connection refused\n",
        "skip  certificate   the gateway isn't running, so its certificate can't be seen\n",
        "fail  token         meta: WhatsApp doesn't accept the token: it's missing, expired or revoked (HTTP 401, code 190)\n",
        "→ make a new one (Business Settings, System users",
        "fail  reach         second: can't be reached: connection refused\n",
        "fail  reach         third: can't be reached: no answer within 5 s\n",
        "fail  crm           primary: doesn't let the test event in (HTTP 401)\n",
        "→ compare `crm.signing_secret` with the CRM's own",
        "fail  crm           second: the test event didn't get there: connection refused\n",
        "fail  crm           third: the test event didn't get there: no answer within 5 s\n",
        "free on the disk; how long it lasts only the running gateway knows\n",
        "6 failed, ",
    ] {
        assert!(said.contains(part), "{part:?} isn't in\n{said}");
    }
    assert!(!world.path().join("store").exists(), "a store was made");
}

#[test]
fn certificate_files_are_read_where_no_gateway_runs() {
    let world = World::new("secret-of-crm_secret", "secret-of-graph_token");
    let key = rcgen::KeyPair::generate().unwrap();
    let parameters = |name: &str| {
        let mut parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
        parameters
    };
    let authority = rcgen::Issuer::new(parameters("authority"), rcgen::KeyPair::generate().unwrap());
    let own = parameters("box.example.com").signed_by(&key, &authority).unwrap();
    world.shop.secret("cert.pem", &own.pem(), 0o600);
    world.shop.secret("key.pem", &key.serialize_pem(), 0o600);
    let config = world.configured("certificate = \"cert.pem\"\nkey = \"key.pem\"", "");
    let (_, said) = doctor(&["--config", &config]);
    let line = "fail  certificate   its chain isn't complete: it comes alone, and Meta doesn't fetch what is missing\n";
    assert!(
        said.contains(line) && said.contains("Read from the files: the gateway isn't running.\n"),
        "{said}"
    );

    let gateway = Gateway::start(&config, world.api);
    let (_, said) = doctor(&["--config", &config]);
    assert!(said.contains(line) && !said.contains("Read from the files"), "seen at the listener:\n{said}");
    drop(gateway);

    let other = rcgen::KeyPair::generate().unwrap();
    world.shop.secret("key.pem", &other.serialize_pem(), 0o600);
    let (output, said) = doctor(&["--config", &config]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("key.pem holds no key for the certificate") && !said.contains("PRIVATE"), "{said}");
}

/// A Graph by a script: what it answers to which path with query; what was asked goes to the second.
fn scripted(answers: &'static [(&'static str, u16, &'static str)]) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind(loopback()).unwrap();
    let url = format!("http://{}/v24.0", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).is_ok_and(|read| read > 0) {}
            let Some(path) = head.strip_prefix("GET ").and_then(|rest| rest.split(' ').next()) else {
                continue;
            };
            told.lock().unwrap().push(head.clone());
            let answer = answers.iter().find(|(known, ..)| *known == path);
            let (status, body) = answer.map_or((404, "{}"), |(_, status, body)| (*status, *body));
            let length = body.len();
            let text =
                format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
            // The program may have had enough.
            let _ = reader.get_mut().write_all(text.as_bytes());
        }
    });
    (url, asked)
}

#[test]
fn meta_is_asked_where_webhooks_go_and_how_long_it_keeps_them() {
    let (url, asked) = scripted(&[
        (
            "/v24.0/106540352242922?fields=health_status%2Cwebhook_configuration",
            200,
            r#"{"id":"106540352242922",
                "webhook_configuration":{"application":"https://box.example.invalid/webhook",
                                         "phone_number":"https://standby.example.invalid/webhook"},
                "health_status":{"can_send_message":"AVAILABLE","entities":[
                    {"entity_type":"PHONE_NUMBER","id":"106540352242922","can_send_message":"AVAILABLE"},
                    {"entity_type":"WABA","id":"22","can_send_message":"AVAILABLE"},
                    {"entity_type":"APP","id":"33","can_send_message":"AVAILABLE"}]}}"#,
        ),
        (
            "/v24.0/22/subscribed_apps",
            200,
            r#"{"data":[{"whatsapp_business_api_data":{"id":"33","name":"x"}}]}"#,
        ),
        (
            "/v24.0/106540352242922/settings",
            200,
            r#"{"storage_configuration":{"status":"NO_STORAGE_ENABLED","retention_minutes":60}}"#,
        ),
        (
            "/v24.0/debug_token?input_token=secret-of-graph_token",
            400,
            r#"{"error":{"code":190,"message":"Malformed access token secret-of-graph_token"}}"#,
        ),
    ]);
    let shop = Shop::new();
    let text = format!(
        "[store]\npath = \"store\"\n[webhook]\nlisten = \"{}\"\nverify_token = \"file:verify_token\"\n\
         app_secret = \"file:app_secret\"\n[webhook.tls]\nacme = {{ domains = [\"box.example.invalid\"] }}\n\
         [api]\nlisten = \"{}\"\ntoken = \"file:api_token\"\n[[numbers]]\nphone_number_id = \"106540352242922\"\n\
         [[whatsapp.endpoints]]\nname = \"meta\"\nurl = \"{url}\"\ntoken = \"file:graph_token\"\n",
        free(),
        free(),
    );
    let config = shop.secret("wagate.toml", &text, 0o600).display().to_string();
    let (output, said) = doctor(&["--config", &config]);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for part in [
        "fail  subscription  106540352242922: Meta sends to another address than this box's\n",
        "Meta: https://standby.example.invalid/webhook (set for this number). This box: https://box.example.invalid/webhook.\n",
        "→ `wagate failover take` has Meta send here",
        "warn  storage       106540352242922: this number has No Storage",
        "fail  token         meta: WhatsApp doesn't accept the token",
        "fail  dns           box.example.invalid: ",
        "skip  crm           no endpoint is configured: the CRM pulls\n",
    ] {
        assert!(said.contains(part), "{part:?} isn't in\n{said}");
    }
    let asked = asked.lock().unwrap();
    assert!(
        asked.iter().all(|head| head.to_lowercase().contains("authorization: bearer secret-of-graph_token"))
    );
    assert_eq!(
        asked.len(),
        5,
        "the probe, the token, the number, its account's apps, its settings: {asked:?}"
    );
}

#[test]
fn a_faulty_configuration_is_refused_as_everywhere() {
    let shop = Shop::new();
    let file = shop.secret("wagate.toml", "[webhook]\nverify_tokn = \"x\"\n", 0o600).display().to_string();
    for arguments in [["--config", &file].as_slice(), &["--config", &file, "--json"]] {
        let (output, said) = doctor(arguments);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(output.stdout.is_empty() && said.contains("did you mean `verify_token`?"), "{said}");
    }
}
