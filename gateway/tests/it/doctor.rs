//! `wagate doctor` as a person runs it: the real program, against the stand-ins.

mod world;

use std::net::{SocketAddr, TcpListener};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use simulate::crm::Behaviour;
use simulate::graph::{App, Setup, Storage};

use self::world::{Gateway, World, doctor, free, loopback, set_up};
use crate::shop::Shop;

const CHECKS: [&str; 12] = [
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
    "board",
];
/// The findings in JSON, by check.
fn findings<'a>(answer: &'a Value, check: &str) -> Vec<&'a Value> {
    answer["checks"].as_array().unwrap().iter().filter(|finding| finding["check"] == check).collect()
}

/// Runs doctor, which ends with `code`, and says all of `lines`.
fn says(config: &str, code: i32, lines: &[&str]) -> String {
    let (output, said) = doctor(&["--config", config]);
    for line in lines {
        assert!(said.contains(line), "{line:?} isn't in\n{said}");
    }
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

/// The lines without what differs from run to run: times, and what the machine itself is like.
fn lasting(said: &str, webhook: SocketAddr) -> String {
    let of_the_machine = ["clock", "disk", "flash", "board"];
    let known =
        |line: &&str| !of_the_machine.iter().any(|check| line.split_whitespace().nth(1) == Some(check));
    let lines =
        said.lines().take_while(|line| !line.is_empty()).filter(known).filter(|line| !line.starts_with(' '));
    let plain = |line: &str| {
        let line = line.replace(&webhook.to_string(), "BOX");
        match line
            .split_once(" in ")
            .filter(|(_, rest)| rest.starts_with(|first: char| first.is_ascii_digit()))
        {
            Some((before, _)) => format!("{before} in T\n"),
            None => format!("{line}\n"),
        }
    };
    lines.map(plain).collect()
}

#[test]
fn a_box_that_is_well_is_told_so_line_by_line() {
    let world = World::new();
    let config = world.configured("");
    let _gateway = Gateway::start(&config, world.api);

    let (output, said) = doctor(&["--config", &config]);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(output.stderr.is_empty() && !said.contains('\u{1b}'), "{said}");
    // No authority of the world gives a certificate to a test: that one stays a warning.
    assert_eq!(
        lasting(&said, world.webhook),
        "ok    gateway       it runs and takes records; nothing waits for the CRM\n\
         warn  certificate   self-signed, which Meta refuses; good enough for a trial on this machine\n\
         skip  dns           no names to look up: the configuration has addresses only\n\
         ok    reach         meta: answers in T\n\
         ok    reach         backup: answers in T\n\
         ok    reach         primary: answers in T\n\
         ok    token         meta: accepted, both permissions; less than a day old, it has no end\n\
         skip  token         backup: a provider's endpoint: Meta knows nothing of its key; where it's refused, the line on reach says so\n\
         ok    subscription  106540352242922: our app is subscribed, and Meta sends to https://BOX/webhook (set for the app)\n\
         ok    storage       106540352242922: Meta keeps for days what it can't deliver\n\
         ok    crm           primary: takes the test event in T\n"
    );
    // By the `Date` of Meta's endpoint, which only its own authority vouches for.
    assert!(said.contains("ok    clock         right to 1 s, by 127.0.0.1"), "{said}");

    let (output, said) = doctor(&["--config", &config, "--json"]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    for check in CHECKS {
        let found = findings(&answer, check);
        assert!(!found.is_empty(), "{check} is missing in\n{said}");
        for finding in found {
            let state = finding["state"].as_str().unwrap();
            assert!(["ok", "warn", "skip"].contains(&state) && finding["summary"].is_string(), "{finding}");
        }
    }
    assert_eq!((answer["ok"].as_bool(), output.status.code()), (Some(true), Some(0)));
    assert_eq!(findings(&answer, "reach")[0]["can_send_message"], "AVAILABLE");
    assert!(findings(&answer, "crm")[0]["latency_ms"].is_u64());
    assert!(findings(&answer, "disk")[0]["live_bytes"].is_u64());
    assert_eq!(findings(&answer, "gateway")[0]["undelivered"], 0);
    assert_eq!(findings(&answer, "token")[0]["about"], "meta");

    // Two test events came, and the CRM took neither for a record.
    let (records, clean) = world.crm.look(|observed| (observed.totals().records, observed.is_clean()));
    assert!(records == 0 && clean);
}

#[test]
fn what_is_wrong_at_meta_is_told() {
    let world = World::new();
    let config = world.configured("");
    let at_meta = |change: fn(&mut Setup), code: i32, lines: &[&str]| {
        world.graph.setup(change);
        says(&config, code, lines);
        world.graph.setup(|setup| *setup = set_up(world.webhook));
    };
    at_meta(
        |setup| {
            setup.subscribed = false;
            setup.other_apps =
                vec![App { id: "7".to_owned(), name: "x".to_owned(), override_callback_uri: None }];
        },
        1,
        &[
            "fail  subscription  106540352242922: our app isn't subscribed (only others are): nothing arrives\n",
        ],
    );
    at_meta(
        |setup| setup.app_callback = Some("https://standby.example.invalid/webhook".to_owned()),
        1,
        &[
            "fail  subscription  106540352242922: Meta sends elsewhere than to this box\n",
            "Meta: https://standby.example.invalid/webhook (set for the app). This box: https://127.0.0.1:",
            "→ `wagate failover take` has Meta send here",
        ],
    );
    at_meta(
        |setup| setup.token.is_valid = Some(false),
        1,
        &[
            "fail  token         meta: WhatsApp doesn't accept it: it has expired or was revoked\n",
            "→ make a new one (Business Settings, System users",
        ],
    );
    at_meta(
        |setup| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
            setup.token.expires_at_s = i64::try_from(now + 3 * 86_400 + 600).unwrap();
        },
        0,
        &["warn  token         meta: it ends at 20", "Z, in 3 days\n"],
    );
    at_meta(
        |setup| setup.storage = Storage::NoStorage,
        0,
        &[
            "warn  storage       106540352242922: it has No Storage: Meta keeps undelivered webhooks and media one hour only\n",
        ],
    );
    world.graph.behave(&["health,says=blocked,entity=waba".parse().unwrap()]);
    says(
        &config,
        1,
        &[
            "; this number may send nothing\n                    It's about the WhatsApp account (code 141000): \
             WABA is BLOCKED, as the simulator was told. Failover has backup, which works.\n\
             \u{20}                   → Tell the simulator otherwise.\n",
        ],
    );
    world.graph.behave(&["refuse,code=503".parse().unwrap()]);
    says(&config, 1, &["fail  reach         meta: answers with HTTP 503 in "]);
    world.graph.behave(&[]);

    world.shop.secret("graph_token", "secret-of-somebody", 0o600);
    world.shop.secret("bsp_token", "secret-of-somebody", 0o600);
    says(
        &config,
        1,
        &[
            "It didn't say how the number is: WhatsApp doesn't accept the token",
            "fail  reach         backup: it refuses the key (HTTP 401)\n",
            "fail  token         meta: WhatsApp doesn't accept the token: it's missing, expired or revoked (HTTP 401, code 190)\n",
        ],
    );
}

#[test]
fn of_a_provider_meta_is_not_asked() {
    let world = World::new();
    let endpoints = world.endpoints();
    let (_, provider) = endpoints.split_once("[[whatsapp.endpoints]]\nname = \"meta\"").unwrap();
    let (_, provider) = provider.split_once("[[whatsapp").unwrap();
    let cannot = "a provider's endpoint: Meta can't be asked through it; see the provider's own page\n";
    says(
        &world.written(&format!("self_signed = true\n[[whatsapp{provider}")),
        0,
        &[
            "ok    reach         backup: answers in ",
            "skip  token         backup: a provider's endpoint: Meta knows nothing of its key",
            &format!("skip  subscription  106540352242922: {cannot}"),
            &format!("skip  storage       106540352242922: {cannot}"),
        ],
    );
}

#[test]
fn a_certificate_that_nobody_trusts_is_told_and_one_that_is_vouched_for_is_well() {
    let world = World::new();
    // A CRM behind TLS, for all that a probe and a round trip know of it.
    let strange = format!("[[crm.endpoints]]\nname = \"second\"\nurl = \"{}\"\n", world.graph.url());
    let config = world.configured(&format!("{strange}ca = \"graph.pem\"\n"));
    says(
        &config,
        1,
        &[
            "ok    reach         meta: answers in ",
            "ok    token         meta: accepted",
            "ok    reach         second: answers in ",
            "fail  crm           second: doesn't let the test event in (HTTP 401)\n",
        ],
    );
    let endpoints = world.endpoints().replace("ca = \"graph.pem\"\n", "");
    let config = world.written(&format!("self_signed = true\n{endpoints}{strange}"));
    let untrusted = "its certificate comes from nobody whom this box trusts\n";
    says(
        &config,
        1,
        &[
            &format!("fail  reach         meta: can't be reached: {untrusted}"),
            "Failover has backup, which works.\n",
            &format!("skip  token         meta: couldn't be asked about: {untrusted}"),
            &format!("fail  reach         second: can't be reached: {untrusted}"),
            "primary works and goes first; while this one is down, failover has no other.\n",
            &format!("fail  crm           second: the test event didn't get there: {untrusted}"),
            "as the endpoint's `ca`",
        ],
    );
}

#[test]
fn what_is_wrong_with_the_crm_is_told_and_nothing_is_touched() {
    let world = World::new();
    let backup = format!("[[crm.endpoints]]\nname = \"second\"\nurl = \"http://{}/wagate\"\n", free());
    let config = world.configured("");
    says(
        &config,
        0,
        &[
            "warn  gateway       it isn't running: connection refused\n",
            "skip  certificate   the gateway isn't running, so its certificate can't be seen\n",
            "free on the disk; how long it lasts only the running gateway knows\n",
        ],
    );
    world.crm_does(Behaviour::Status { code: 422, retry_after_s: None });
    says(&config, 0, &["warn  crm           primary: refuses the test event (HTTP 422)\n"]);
    world.crm_does(Behaviour::Ok);

    world.shop.secret("crm_secret", "secret-of-somebody", 0o600);
    says(
        &config,
        1,
        &[
            "ok    reach         primary: answers in ",
            "fail  crm           primary: doesn't let the test event in (HTTP 401)\n",
            "→ compare `crm.signing_secret` with the CRM's own",
        ],
    );
    world.shop.secret("crm_secret", "secret-of-crm_secret", 0o600);

    let config = world.configured(&backup);
    says(
        &config,
        1,
        &[
            "ok    reach         primary: answers in ",
            "fail  reach         second: can't be reached: connection refused\n\
             \u{20}                   primary works and goes first; while this one is down, failover has no other.\n",
            "ok    crm           primary: takes the test event in ",
            "fail  crm           second: the test event didn't get there: connection refused\n",
            "2 failed, ",
        ],
    );
    world.crm_does(Behaviour::Down);
    let neither = "None of the others works either: what is to go there waits.\n";
    says(&config, 1, &["fail  reach         primary: can't be reached: connection refused\n", neither]);
    assert!(!world.path().join("store").exists(), "a store was made");
}

/// Everything takes connections and never says a word, and the endpoints have all the time in the world.
#[test]
fn where_all_is_silent_it_ends_all_the_same() {
    let mut world = World::new();
    let silent = [loopback(); 2].map(|address| TcpListener::bind(address).unwrap());
    let url = format!("http://{}", silent[0].local_addr().unwrap());
    (world.webhook, world.api) = (silent[0].local_addr().unwrap(), silent[1].local_addr().unwrap());
    let endpoint = |direction: &str, name: &str, more: &str| {
        format!("[[{direction}.endpoints]]\nname = \"{name}\"\nurl = \"{url}\"\n{more}\n")
    };
    let whatsapp = "token = \"file:graph_token\"\ntimeout = \"5m\"";
    let more = [
        "self_signed = true\n".to_owned(),
        endpoint("whatsapp", "meta", whatsapp),
        endpoint("whatsapp", "backup", &format!("{whatsapp}\npath = \"/messages\"")),
        "[whatsapp.health]\ntimeout = \"5m\"\n[crm.health]\ntimeout = \"5m\"\n".to_owned(),
        endpoint("crm", "primary", "timeout = \"5m\""),
        endpoint("crm", "second", "timeout = \"2s\""),
    ];
    says(
        &world.written(&more.concat()),
        1,
        &[
            "warn  gateway       it isn't running: no answer within 5 s\n",
            "fail  reach         meta: can't be reached: no answer within 5 s\n",
            "fail  reach         backup: can't be reached: no answer within 5 s\n",
            "fail  reach         primary: can't be reached: no answer within 5 s\n",
            "fail  reach         second: can't be reached: no answer within 2 s\n",
            "skip  token         meta: couldn't be asked about: no answer within 5 s\n",
            "skip  subscription  106540352242922: which account it belongs to isn't known: no answer within 5 s\n",
            "fail  crm           primary: the test event didn't get there: no answer within 12 s\n",
            "fail  crm           second: the test event didn't get there: no answer within 2 s\n",
        ],
    );
}

#[test]
fn certificate_files_are_read_where_no_gateway_runs() {
    let world = World::new();
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
    let files = "certificate = \"cert.pem\"\nkey = \"key.pem\"\n";
    let config = world.written(&format!("{files}{}", world.endpoints()));
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
