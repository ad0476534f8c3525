//! The outside to the letter, on the running program: the public side over TLS, the records as the
//! CRM gets them, and the store side.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reqwest::{Method, Response};
use serde_json::Value;
use simulate::crm::Keep;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::{
    API_TOKEN, Appliance, Poster, Site, VERIFY_TOKEN, connect, crm, eventually, program, run, secret, skip,
    wagate,
};

const BODY_MAX: usize = 4 << 20;

/// No answer names software or version.
fn assert_anonymous(response: &Response) {
    for (name, value) in response.headers() {
        let line = format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())).to_lowercase();
        let named =
            ["wagate", "hyper", "server:", "x-powered-by"].into_iter().find(|word| line.contains(word));
        assert!(named.is_none(), "{line}");
    }
}

async fn problem(response: Response, status: u16) -> Value {
    assert_eq!(response.status(), status);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let problem: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert_eq!(problem["status"], status);
    for member in ["type", "title", "detail"] {
        assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
    }
    problem
}

#[test]
fn the_public_side_answers_as_the_contract_says() {
    run(async {
        let site = Site::without_crm();
        let appliance = Appliance::start(&site).await;
        let poster = Poster::new(&site);
        let get = async |path: String| {
            let response = poster.request(Method::GET, &path).send().await.unwrap();
            assert_anonymous(&response);
            (response.status().as_u16(), response.text().await.unwrap())
        };
        let token = VERIFY_TOKEN.replace(' ', "%20");
        let challenge = "x".repeat(1_024);
        for (query, status) in [
            (format!("hub.mode=subscribe&hub.verify_token={token}&hub.challenge={challenge}"), 200),
            (format!("hub.mode=subscribe&hub.verify_token={token}&hub.challenge={challenge}x"), 400),
            (format!("hub.mode=subscribe&hub.verify_token={token}&hub.challenge=a%20b"), 400),
            (format!("hub.mode=subscribe&hub.verify_token={token}&hub.challenge="), 400),
            (format!("hub.mode=subscribe&hub.verify_token={token}"), 400),
            ("hub.mode=subscribe&hub.verify_token=wrong&hub.challenge=1".to_owned(), 403),
            ("hub.mode=subscribe&hub.challenge=1".to_owned(), 403),
            (format!("hub.mode=unsubscribe&hub.verify_token={token}&hub.challenge=1"), 403),
        ] {
            let (found, body) = get(format!("/webhook?{query}")).await;
            assert_eq!(found, status, "{query}");
            if status == 200 {
                assert_eq!(body, challenge);
            }
        }
        let (twice, _) = get(format!(
            "/webhook?hub.mode=subscribe&hub.verify_token={token}&hub.challenge=1&hub.challenge=2"
        ))
        .await;
        assert!([400, 403].contains(&twice), "{twice}");
        assert_eq!(get("/elsewhere".to_owned()).await.0, 404);
        for method in [Method::PUT, Method::DELETE, Method::PATCH] {
            let response = poster.request(method, "/webhook").send().await.unwrap();
            assert_anonymous(&response);
            assert_eq!(response.status(), 405);
            assert!(response.headers().contains_key("allow"));
        }

        // Signatures.
        let body = "{\"signed\": true}";
        let right = secret().sign(body.as_bytes());
        let wrong = secret().sign(b"something else");
        for (signature, status) in [
            (right.as_str(), 200),
            (wrong.as_str(), 401),
            ("", 401),
            ("sha256=", 401),
            ("sha1=0000", 401),
            (&right[..right.len() - 1], 401),
            (&format!("{right}0"), 401),
        ] {
            let response = poster.post_signed(body, signature).await.unwrap();
            assert_anonymous(&response);
            assert_eq!(response.status().as_u16(), status, "{signature}");
        }
        let unsigned = poster.request(Method::POST, "/webhook").body(body).send().await.unwrap();
        assert_eq!(unsigned.status(), 401);

        // The edge of 4 MiB.
        assert_eq!(poster.status(vec![b' '; BODY_MAX]).await, 200);
        let response = poster.post(vec![b' '; BODY_MAX + 1]).await.unwrap();
        assert_anonymous(&response);
        assert_eq!(response.status(), 413);
        let chunked = over_the_limit_in_chunks(&site).await;
        assert!(chunked.starts_with("HTTP/1.1 413"), "{chunked:?}");

        // Only what was rightly signed is there.
        assert_eq!(appliance.api.status().await["records"]["kept"], 2);

        // An address with too many wrong signatures is put off; right ones are not.
        let mut put_off = 0;
        for _ in 0..100 {
            let status = poster.post_signed(body, &wrong).await.unwrap().status().as_u16();
            assert!([401, 429].contains(&status), "{status}");
            put_off += u32::from(status == 429);
        }
        assert!(put_off > 20, "{put_off}");
        assert_eq!(poster.status("{\"still\": \"let in\"}").await, 200);
        let mut let_in = 0;
        // One comes back each second.
        while poster.post_signed(body, &wrong).await.unwrap().status() != 429 {
            let_in += 1;
            assert!(let_in < 30, "a right one gives all of them back");
        }
        appliance.stop().await;
    });
}

/// A body without a length that goes past the limit: the answer comes, and not a reset.
async fn over_the_limit_in_chunks(site: &Site) -> String {
    let (mut reading, mut writing) = tokio::io::split(connect(site.webhook_port).await);
    let signature = secret().sign(b"whatever");
    let head = format!(
        "POST /webhook HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: {signature}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    );
    writing.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(65_536));
    let sending = tokio::spawn(async move {
        for _ in 0..80 {
            if writing.write_all(chunk.as_bytes()).await.is_err() {
                return;
            }
        }
        let _ = writing.write_all(b"0\r\n\r\n").await;
        let _ = writing.flush().await;
    });
    let mut answer = Vec::new();
    let _ = reading.read_to_end(&mut answer).await;
    sending.await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn what_cannot_be_understood_is_kept_and_a_duplicate_is_not_delivered_twice() {
    run(async {
        let crm = crm(Keep::Everything, true);
        let site = Site::new(&crm);
        let mut appliance = Appliance::start(&site).await;
        appliance.secret_words = ["unmistakable".to_owned()].into();
        let poster = Poster::new(&site);
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        let bodies: [Vec<u8>; 7] = [
            b"unmistakable words".to_vec(),
            b"".to_vec(),
            b"[]".to_vec(),
            b"null".to_vec(),
            deep.into_bytes(),
            vec![0xff, 0xfe, 0x00, 0x80],
            b"{\"object\":\"whatsapp_business_account\"}".to_vec(),
        ];
        for body in &bodies {
            assert_eq!(poster.status(body.clone()).await, 200, "{:?}", String::from_utf8_lossy(body));
        }
        appliance.api.drained().await;
        assert_eq!(crm.totals().records, bodies.len() as u64);
        let page = appliance.api.get("/v1/records?type=wagate.unknown.v1").await;
        let records = page["records"].as_array().unwrap();
        assert_eq!(records.len(), bodies.len());
        for (record, body) in records.iter().zip(&bodies) {
            let data = &record["data"];
            assert!(data["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{record}");
            match std::str::from_utf8(body) {
                Ok(text) => assert_eq!(data["bytes"].as_str(), Some(text)),
                Err(_) => assert_eq!(data["bytes_base64"], "//4AgA=="),
            }
        }
        let schema = schema(&appliance).await;
        records.iter().for_each(|record| assert!(schema.is_valid(record), "{record}"));

        // The same again.
        for body in &bodies {
            assert_eq!(poster.status(body.clone()).await, 200);
        }
        let status = appliance.api.status().await;
        assert_eq!((&status["records"]["kept"], &status["records"]["duplicates"]), (&7.into(), &7.into()));
        appliance.api.drained().await;
        assert_eq!(crm.totals().taken, 7);
        crm.look(|observed| assert!(observed.is_clean(), "{:?}", observed.complaints()));
        appliance.stop().await;
    });
}

async fn schema(appliance: &Appliance) -> jsonschema::Validator {
    let schema = appliance.api.get("/v1/schema").await;
    jsonschema::validator_for(&schema).unwrap()
}

/// The webhooks of a folder with their expected number of records, where the index tells it.
fn fixtures(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let index = std::fs::read_to_string(folder.join("INDEX.tsv")).unwrap();
    let names = index.lines().skip(1).map(|line| line.split('\t').next().unwrap().to_owned());
    names.map(|name| (name.clone(), std::fs::read(folder.join(name)).unwrap())).collect()
}

#[test]
fn every_webhook_that_could_be_found_becomes_records_that_fit_the_schema() {
    run(async {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let composed = fixtures(&workspace.join("crates/records/tests/fixtures/webhooks"));
        assert_eq!(composed.len(), 116);
        every_one(&composed).await;

        let shared =
            std::env::var_os("WAGATE_SHARED").map_or_else(|| workspace.join("../shared"), PathBuf::from);
        let folder = shared.join("fixtures/webhooks");
        if !folder.join("INDEX.tsv").exists() {
            return skip("the public webhooks", &format!("they are not in {}", folder.display()));
        }
        let public = fixtures(&folder);
        assert_eq!(public.len(), 276);
        every_one(&public).await;
    });
}

/// Posts them to a box and looks at what comes out at both ends.
async fn every_one(webhooks: &[(String, Vec<u8>)]) {
    let crm = crm(Keep::Everything, true);
    let mut site = Site::new(&crm);
    site.numbers = vec![("330044005500661".into(), "+15550142277".into())];
    let appliance = Appliance::start(&site).await;
    let poster = Poster::new(&site);
    let mut expected: BTreeMap<(String, String), usize> = BTreeMap::new();
    for (name, body) in webhooks {
        assert_eq!(poster.status(body.clone()).await, 200, "{name}");
        for item in records::digest(body) {
            *expected.entry((item.source.clone(), item.id.clone())).or_default() += 1;
        }
    }
    appliance.api.drained().await;
    let schema = schema(&appliance).await;
    let mut after = String::from("0");
    let mut found = BTreeMap::new();
    loop {
        let path = format!("/v1/records?after={after}&limit=50");
        let text = appliance.api.ask(Method::GET, &path).await.unwrap().text().await.unwrap();
        // JSON allows lone surrogates, and some customers send them; this reader doesn't.
        let page: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
        let records = page["records"].as_array().unwrap();
        for record in records {
            assert!(schema.is_valid(record), "not as the schema says: {record:#}");
            let name = |name: &str| record[name].as_str().unwrap().to_owned();
            // By its id, or by its phone where a payload names no id.
            let account = &record["data"]["account"];
            let configured = match account["phone_number_id"].as_str() {
                Some(id) => id == "330044005500661",
                None => account["phone"] == "+15550142277",
            };
            assert_eq!(account["configured"], configured, "{record:#}");
            *found.entry((name("source"), name("id"))).or_insert(0_usize) += 1;
        }
        if records.is_empty() {
            break;
        }
        after = page["next"].as_str().unwrap().to_owned();
    }
    let repeated: usize = expected.values().map(|times| times - 1).sum();
    println!("contract: {} webhooks, {} records, {repeated} duplicates", webhooks.len(), found.len());
    assert!(found.values().all(|times| *times == 1));
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    crm.look(|observed| {
        assert!(observed.is_clean(), "{:#?}", observed.complaints());
        assert_eq!(observed.totals().records, expected.len() as u64);
        for (source, id) in expected.keys() {
            assert!(observed.seen(source, id).is_some(), "{source} {id}");
        }
    });
    assert_eq!(appliance.api.status().await["backlog"]["dead_letters"], 0);
    appliance.stop().await;
}

#[test]
fn the_store_side_answers_as_the_contract_says() {
    run(async {
        let site = Site::without_crm();
        let appliance = Appliance::start(&site).await;
        let (api, poster) = (&appliance.api, Poster::new(&site));
        assert_eq!(api.ask_as(None, "/healthz").await.status(), 200);
        for path in
            ["/readyz", "/metrics", "/v1/records", "/v1/deadletters", "/v1/schema", "/v1/status", "/nowhere"]
        {
            for authorization in [None, Some("Bearer wrong"), Some("Basic eDp5"), Some(API_TOKEN)] {
                let answer = api.ask_as(authorization, path).await;
                assert_eq!(answer.headers()["www-authenticate"], "Bearer", "{path}");
                problem(answer, 401).await;
            }
        }
        problem(api.ask(Method::GET, "/nowhere").await.unwrap(), 404).await;
        problem(api.ask(Method::DELETE, "/v1/records").await.unwrap(), 405).await;
        problem(api.ask(Method::POST, "/v1/deadletters/00000000000000000007/retry").await.unwrap(), 404)
            .await;
        for query in ["limit=0", "limit=x", "after=x", "wait=1", "unknown=1", "limit=1&limit=2", "type=x"] {
            problem(api.ask(Method::GET, &format!("/v1/records?{query}")).await.unwrap(), 400).await;
        }

        let empty = api.get("/v1/records").await;
        assert_eq!(empty["records"].as_array().unwrap().len(), 0);
        assert!(empty["store"].as_str().is_some_and(|store| !store.is_empty()));
        assert_eq!(empty["next"], "00000000000000000000");
        for text in 1..=3 {
            assert_eq!(poster.status(format!("{{\"n\": {text}}}")).await, 200);
        }
        let page = api.get("/v1/records?limit=2").await;
        assert_eq!(page["records"].as_array().unwrap().len(), 2);
        assert_eq!(page["next"], page["records"][1]["sequence"]);
        assert_eq!(page["oldest"], page["records"][0]["sequence"]);
        assert_eq!(page["store"], empty["store"]);
        let next = page["next"].as_str().unwrap();
        let rest = api.get(&format!("/v1/records?after={next}")).await;
        assert_eq!(rest["records"].as_array().unwrap().len(), 1);

        // Outside of what is kept: both ends.
        let gone = problem(api.ask(Method::GET, "/v1/records?after=99").await.unwrap(), 410).await;
        assert_eq!((&gone["oldest"], &gone["newest"]), (&page["oldest"], &rest["next"]), "{gone}");

        // A wait ends as soon as something comes, and by itself.
        let newest = rest["next"].as_str().unwrap().to_owned();
        let start = Instant::now();
        let nothing = api.get(&format!("/v1/records?after={newest}&wait=1s")).await;
        assert_eq!((nothing["records"].as_array().unwrap().len(), &nothing["next"]), (0, &rest["next"]));
        assert!(start.elapsed() >= Duration::from_millis(950), "{:?}", start.elapsed());
        let (waiter, path) = (api.clone(), format!("/v1/records?after={newest}&wait=30s"));
        let waiting = tokio::spawn(async move { waiter.get(&path).await });
        eventually("the wait is under way", async || {
            (api.metric("wagate_connections_open", "api").await >= 2.0).then_some(())
        })
        .await;
        let start = Instant::now();
        assert_eq!(poster.status("{\"n\": 4}").await, 200);
        let came = waiting.await.unwrap();
        assert_eq!(came["records"].as_array().unwrap().len(), 1);
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());

        let metrics = api.ask(Method::GET, "/metrics").await.unwrap().text().await.unwrap();
        for name in [
            "wagate_webhooks_total{result=",
            "wagate_records_total{type=",
            "wagate_ack_seconds",
            "wagate_backlog_records",
            "wagate_oldest_undelivered_seconds",
            "wagate_store_bytes",
            "wagate_store_written_bytes_total",
            "wagate_certificate_expiry_seconds",
        ] {
            assert!(metrics.contains(name), "{name} is missing");
        }
        let ready = api.get("/readyz").await;
        assert_eq!(ready["backlog"]["records"], 0);
        appliance.stop().await;
    });
}

#[test]
fn a_broken_configuration_stops_no_box_that_has_once_started() {
    run(async {
        let site = Site::without_crm();
        // A first start refuses it.
        site.put("wagate.toml", site.text().replace("verify_token", "verify_tokn").as_bytes());
        let mut first = Appliance::spawn(&site);
        assert_eq!(first.exit(Duration::from_secs(5)).await.code(), Some(2));
        assert!(first.log.lines().concat().contains("verify_token"), "{:?}", first.log.lines());
        first.log.forget();
        let check = wagate(&["check", "--config", &site.config_argument()]);
        assert_eq!(check.status.code(), Some(2));

        let appliance = Appliance::start(&site).await;
        assert_eq!(wagate(&["check", "--config", &site.config_argument()]).status.code(), Some(0));
        assert!(appliance.api.alarms().await.is_empty());
        appliance.stop().await;

        site.put("wagate.toml", site.text().replace("[webhook]", "[webhok]").as_bytes());
        let appliance = Appliance::start_as_is(&site).await;
        let alarms = appliance.api.alarms().await;
        assert!(alarms.iter().any(|alarm| alarm.contains("configuration")), "{alarms:?}");
        assert!(appliance.api.metric("wagate_configuration_refused", "").await > 0.5);
        assert_eq!(Poster::new(&site).status("{}").await, 200);
        let status = wagate(&["status", "--config", &site.config_argument()]);
        assert!(status.status.success(), "{status:?}");
        assert!(String::from_utf8_lossy(&status.stdout).contains("configuration"), "{status:?}");
        appliance.stop().await;
    });
}

#[test]
fn a_second_process_on_the_same_store_says_so_and_leaves() {
    run(async {
        let site = Site::without_crm();
        let appliance = Appliance::start(&site).await;
        let mut other = Site::without_crm();
        other.store.clone_from(&site.store);
        other.write_config();
        let second = tokio::task::spawn_blocking(move || {
            let run = ["run", "--config", &other.config_argument()].map(str::to_owned);
            std::process::Command::new(program()).args(run).output().unwrap()
        });
        let second = tokio::time::timeout(Duration::from_secs(20), second).await.unwrap().unwrap();
        assert_eq!(second.status.code(), Some(1));
        let said = String::from_utf8_lossy(&second.stderr);
        let line = said.lines().last().unwrap();
        println!("contract: a second process says: {line}");
        assert!(line.contains("in use") || line.contains("another") || line.contains("already"), "{said}");
        assert_eq!(Poster::new(&site).status("{}").await, 200, "the first goes on");
        appliance.stop().await;
    });
}
