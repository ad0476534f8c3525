//! The store side as a boundary: tokens that rotate, scopes, guesses, TLS, and the audit log through a kill.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, KeyPair};
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::front::Authority;
use crate::harness::{API_TOKEN, Api, Appliance, Site, eventually, peer_certificate, run, wagate};

const NEXT_TOKEN: &str = "fedcba9876543210fedcba9876543210";

#[test]
fn a_token_is_rotated_and_no_request_is_refused() {
    run(async {
        let mut site = Site::without_crm();
        site.api_token = "[\"file:api_token\", \"file:api_token_other\"]".into();
        site.put("api_token_other", b"nobody-has-this-one-0123456789");
        let appliance = Appliance::start(&site).await;
        let (api, url) = (&appliance.api, site.api_url());
        let status = async |token: &str| api.status_as(token, Method::GET, "/v1/status").await;
        // A program that asks without end, and takes the new token up in the middle of it.
        let (tell, told) = tokio::sync::watch::channel(API_TOKEN);
        let (shows, shown) = tokio::sync::watch::channel("");
        let program = tokio::spawn(async move {
            let (api, mut told) = (Api::new(url), told);
            let mut answers: BTreeMap<(&str, u16), u32> = BTreeMap::new();
            loop {
                let token: &'static str = *told.borrow_and_update();
                if token.is_empty() {
                    return answers;
                }
                let answer = api.status_as(token, Method::GET, "/v1/quota").await;
                *answers.entry((token, answer)).or_default() += 1;
                shows.send_replace(token);
            }
        });
        assert_eq!(status(NEXT_TOKEN).await, 401);
        site.put("api_token_other", NEXT_TOKEN.as_bytes());
        appliance.signal(Signal::HUP);
        eventually("the new token counts", async || (status(NEXT_TOKEN).await == 200).then_some(())).await;
        assert_eq!(status(API_TOKEN).await, 200, "and so does the old one");

        // Two equal ones are a mistake, which changes nothing.
        site.put("api_token", NEXT_TOKEN.as_bytes());
        appliance.signal(Signal::HUP);
        eventually("it is said", async || appliance.log.find("couldn't be read again")).await;
        assert_eq!((status(API_TOKEN).await, status(NEXT_TOKEN).await), (200, 200));

        tell.send_replace(NEXT_TOKEN);
        // Once the program has shown it the old one may go.
        eventually("the program shows the new one", async || (*shown.borrow() == NEXT_TOKEN).then_some(()))
            .await;
        site.put("api_token", b"the-one-after-that-0123456789");
        appliance.signal(Signal::HUP);
        eventually("the old token doesn't count", async || (status(API_TOKEN).await == 401).then_some(()))
            .await;
        assert_eq!(status(NEXT_TOKEN).await, 200);
        tell.send_replace("");
        let answers = program.await.unwrap();
        let seen: Vec<_> = answers.keys().copied().collect();
        assert_eq!(seen, [(API_TOKEN, 200), (NEXT_TOKEN, 200)], "{answers:?}");
        appliance.kill();
    });
}

#[test]
fn a_client_may_do_what_its_scopes_say() {
    run(async {
        let mut site = Site::without_crm();
        let client = |name: &str, scopes: &str| {
            format!(
                "[[api.clients]]\nname = \"{name}\"\ntoken = \"file:token_{name}\"\nscopes = [{scopes}]\n"
            )
        };
        site.api_keys = [
            client("plots", "\"read\""),
            client("crm", "\"read\", \"send\""),
            client("till", "\"send\""),
            client("it", "\"operate\""),
        ]
        .concat();
        let token = |name: &str| format!("{name}-0123456789abcdef");
        for name in ["plots", "crm", "till", "it"] {
            site.put(&format!("token_{name}"), token(name).as_bytes());
        }
        let appliance = Appliance::start(&site).await;
        let message = "/v1/messages/m-00000000000000000000000007";
        for (name, method, path, status) in [
            ("plots", Method::GET, "/v1/records", 200),
            ("plots", Method::GET, "/metrics", 200),
            ("plots", Method::DELETE, message, 403),
            ("plots", Method::DELETE, "/v1/quick-replies/hello", 403),
            ("plots", Method::GET, "/v1/audit", 403),
            ("crm", Method::GET, "/v1/records", 200),
            ("crm", Method::DELETE, message, 404),
            ("crm", Method::POST, &format!("{message}/resolve"), 403),
            ("till", Method::DELETE, message, 404),
            ("till", Method::GET, message, 403),
            ("it", Method::DELETE, "/v1/quick-replies/hello", 404),
            ("it", Method::GET, "/v1/audit", 200),
            ("it", Method::GET, "/v1/records", 403),
        ] {
            assert_eq!(
                appliance.api.status_as(&token(name), method.clone(), path).await,
                status,
                "{name} {method} {path}"
            );
        }
        // Only what was let in and could have changed something is in the audit log.
        let page = appliance.api.get("/v1/audit").await;
        let entries = page["entries"].as_array().unwrap();
        assert_eq!(entries.len(), 1, "{page}");
        let told = |name: &str| entries[0][name].as_str().unwrap();
        assert_eq!((told("client"), told("action")), ("it", "DELETE /v1/quick-replies/{name}"));
        assert_eq!(
            (told("address"), told("target"), &entries[0]["status"]),
            ("127.0.0.1", "hello", &json!(404))
        );
        assert_eq!(appliance.api.metric("wagate_api_requests_rejected_total", "scope").await, 6.0);

        // The command shows the same, with the token of whoever looks after the box.
        let config = site.config_argument();
        let file = site.path().join("token_it");
        let it = ["--config", &config, "--token-file", file.to_str().unwrap()];
        let shown = wagate(&[&["audit"][..], &it].concat());
        let text = String::from_utf8(shown.stdout).unwrap();
        assert!(text.contains("it from 127.0.0.1  DELETE /v1/quick-replies/{name} (hello): 404"), "{text}");
        let refused = wagate(&[&["status"][..], &it].concat());
        assert_eq!(refused.status.code(), Some(1));
        let text = String::from_utf8(refused.stderr).unwrap();
        assert!(text.contains("this needs the scope `read`, which the token of `it` doesn't have"), "{text}");
        appliance.stop().await;
    });
}

#[test]
fn guesses_are_slowed_where_they_come_from_and_reach_no_disk() {
    run(async {
        let site = Site::without_crm();
        let appliance = Appliance::start(&site).await;
        let guesser = Api::from_address([127, 0, 0, 2], site.api_url());
        let other = Api::from_address([127, 0, 0, 3], site.api_url());
        let before = appliance.api.metric("wagate_store_written_bytes_total", "").await;
        let mut answers: BTreeMap<u16, u32> = BTreeMap::new();
        for guess in 0..40 {
            let answer =
                guesser.status_as(&format!("guess-{guess}"), Method::DELETE, "/v1/deadletters/1").await;
            *answers.entry(answer).or_default() += 1;
        }
        // Ten at once, and one more every six seconds that this has taken.
        assert!((10..=20).contains(&answers[&401]) && answers[&401] + answers[&429] == 40, "{answers:?}");
        let refused = guesser.ask_as(Some("Bearer no"), "/v1/status").await;
        assert_eq!(refused.status(), 429);
        assert!(refused.headers().contains_key("retry-after"));
        assert_eq!(other.ask_as(Some("Bearer no"), "/v1/status").await.status(), 401);
        // Who has the token isn't shut out by who hasn't.
        assert_eq!(guesser.ask(Method::GET, "/v1/status").await.unwrap().status(), 200);
        assert_eq!(appliance.api.metric("wagate_store_written_bytes_total", "").await, before);
        assert_eq!(appliance.api.metric("wagate_api_failed_addresses", "").await, 2.0);
        eventually("an alarm", async || {
            let alarms = appliance.api.alarms().await;
            alarms.iter().any(|alarm| alarm.contains("wrong tokens")).then_some(())
        })
        .await;
        assert_eq!(appliance.api.get("/v1/audit").await["entries"], json!([]));
        appliance.stop().await;
    });
}

#[test]
fn over_tls_the_commands_know_the_box_and_a_new_certificate_is_taken_up() {
    run(async {
        let mut site = Site::without_crm();
        site.api_keys = "[api.tls]\ncertificate = \"api.pem\"\nkey = \"api_key.pem\"".into();
        let first = certificate(&site);
        let appliance = Appliance::start(&site).await;
        assert_eq!(peer_certificate(site.api_port).await, first);
        let config = site.config_argument();
        let status = |more: &[&str]| wagate(&[&["status", "--config", &config], more].concat());
        assert_eq!(status(&[]).status.code(), Some(0));
        // From elsewhere nobody vouches for it, unless it is named.
        let (url, named) = (site.api_url(), site.path().join("api.pem"));
        let named = ["--url", &url, "--certificate", named.to_str().unwrap()];
        assert_eq!(status(&named).status.code(), Some(0));
        let stranger = status(&named[..2]);
        assert_eq!(stranger.status.code(), Some(1), "{stranger:?}");

        let second = certificate(&site);
        assert_ne!(first, second);
        appliance.signal(Signal::HUP);
        eventually("the second certificate is shown", async || {
            (peer_certificate(site.api_port).await == second).then_some(())
        })
        .await;
        assert_eq!(status(&[]).status.code(), Some(0));
        site.put("api.pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        appliance.signal(Signal::HUP);
        eventually("an alarm", async || {
            let alarms = appliance.api.alarms().await;
            alarms.iter().any(|alarm| alarm.contains("the API's new certificate")).then_some(())
        })
        .await;
        assert_eq!(peer_certificate(site.api_port).await, second);
        assert_eq!(appliance.api.metric("wagate_api_certificate_loads_total", "").await, 2.0);
        assert!(appliance.api.metric("wagate_api_certificate_expiry_seconds", "").await > 0.0);
        appliance.kill();

        // With a certificate of its own it is the same, and plain HTTP gets nowhere.
        site.api_keys = "[api.tls]\nself_signed = true\nnames = [\"box.store.lan\"]".into();
        let appliance = Appliance::start(&site).await;
        let shown = status(&["--json"]);
        let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
        assert!(shown["api_certificate_expires"].as_str().unwrap().starts_with("9999-12-3"), "{shown}");
        assert_ne!(peer_certificate(site.api_port).await, peer_certificate(site.webhook_port).await);
        let doctor = wagate(&["doctor", "--config", &config, "--json"]);
        let doctor = String::from_utf8(doctor.stdout).unwrap();
        assert!(doctor.contains("it runs and takes records"), "{doctor}");
        let plain = Api::new(format!("http://127.0.0.1:{}", site.api_port));
        assert!(plain.ask(Method::GET, "/v1/status").await.is_err());
        appliance.stop().await;
    });
}

#[test]
fn a_program_may_have_to_show_a_certificate_too() {
    run(async {
        let mut site = Site::without_crm();
        let (known, unknown) = (Authority::new(), Authority::new());
        site.put("programs.pem", known.pem.as_bytes());
        for (name, authority) in [("operator.pem", &known), ("stranger.pem", &unknown)] {
            let (chain, key) = authority.vouch_for("till.store.lan");
            site.put(name, format!("{chain}{key}").as_bytes());
        }
        site.api_keys = "[api.tls]\nself_signed = true\n[api.client_auth]\nmode = \"optional\"\n\
                         ca = \"programs.pem\"\nname = \"till.store.lan\"\noperator = \"operator.pem\""
            .into();
        let appliance = Appliance::start(&site).await;
        let config = site.config_argument();
        let status = |more: &[&str]| wagate(&[&["status", "--config", &config], more].concat()).status.code();
        let shown = async |result: &str| {
            let label = format!("result=\"{result}\"");
            appliance.api.metric("wagate_api_client_certificates_total", &label).await
        };
        assert_eq!((status(&[]), shown("accepted").await), (Some(0), 1.0), "the operator's is shown");
        let other = site.path().join("stranger.pem");
        let other = ["--client-certificate", other.to_str().unwrap()];
        assert_eq!((status(&other), shown("unknown_issuer").await), (Some(1), 1.0));
        assert!(shown("none").await > 0.0, "who shows none is let in");
        let alarms = appliance.api.alarms().await;
        let [alarm] = alarms.as_slice() else { panic!("{alarms:?}") };
        assert!(alarm.contains("come to the API") && alarm.contains("`api.client_auth.ca`"), "{alarm}");

        // Both authorities side by side.
        site.put("programs.pem", format!("{}{}", known.pem, unknown.pem).as_bytes());
        appliance.signal(Signal::HUP);
        eventually("the other authority counts, too", async || (status(&other) == Some(0)).then_some(()))
            .await;
        assert_eq!(appliance.api.alarms().await, Vec::<String>::new());
        appliance.stop().await;
    });
}

/// Puts a new certificate with its key into the site; gives its DER.
fn certificate(site: &Site) -> Vec<u8> {
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(["box.store.lan".to_owned()]).unwrap().self_signed(&key).unwrap();
    site.put("api_key.pem", key.serialize_pem().as_bytes());
    site.put("api.pem", certificate.pem().as_bytes());
    certificate.der().to_vec()
}

const KILLS: u32 = 4;
/// Between two kills, beside the restart: some 150 actions, of the 600 that a client may have done at once.
const ALIVE: Duration = Duration::from_millis(300);

#[test]
fn what_was_done_is_in_the_audit_log_whenever_the_program_is_killed() {
    run(async {
        let site = Site::without_crm();
        let mut appliance = Appliance::start(&site).await;
        let mut answered: BTreeMap<String, u16> = BTreeMap::new();
        let mut tried = 0;
        for _ in 0..KILLS {
            // One action after another, the last of which the kill meets at some point of its way.
            let (api, first) = (appliance.api.clone(), tried);
            let acting = tokio::spawn(async move {
                let mut done = Vec::new();
                for number in first.. {
                    let name = format!("reply-{number}");
                    let reply = json!({ "type": "text", "text": { "body": "Yes." } });
                    match api.try_put(&format!("/v1/quick-replies/{name}"), &reply).await {
                        Ok(status) => done.push((name, status)),
                        Err(_) => return (done, number + 1),
                    }
                }
                (done, first)
            });
            let until = Instant::now() + ALIVE;
            tokio::time::sleep_until(until.into()).await;
            appliance.kill();
            let (done, next) = acting.await.unwrap();
            tried = next;
            answered.extend(done);
            appliance = Appliance::start(&site).await;
        }
        assert!(answered.len() > KILLS as usize, "something was done between two kills");
        let replies = appliance.api.get("/v1/quick-replies").await;
        let there: Vec<&str> = replies["quick_replies"]
            .as_array()
            .unwrap()
            .iter()
            .map(|reply| reply["name"].as_str().unwrap())
            .collect();
        let entries = all(&appliance.api).await;
        let noted: BTreeMap<&str, &Value> =
            entries.iter().map(|entry| (entry["target"].as_str().unwrap(), &entry["status"])).collect();
        assert_eq!(noted.len(), entries.len(), "one entry for each");
        for name in &there {
            assert!(noted.contains_key(name), "{name} was done and nobody wrote it down");
        }
        for (name, status) in &answered {
            assert_eq!(noted.get(name.as_str()), Some(&&json!(status)), "{name} was answered");
        }
        let open = noted.values().filter(|status| status.is_null()).count();
        println!(
            "audit: {} answered, {} there, {} entries, {open} without outcome",
            answered.len(),
            there.len(),
            noted.len()
        );
        assert!(open <= KILLS as usize, "only what a kill has met has no outcome");
        let numbers: Vec<u64> = entries.iter().map(|entry| entry["number"].as_u64().unwrap()).collect();
        assert!(numbers.windows(2).all(|two| two[0] < two[1]), "{numbers:?}");
        appliance.stop().await;
    });
}

/// The whole audit log, page by page.
async fn all(api: &Api) -> Vec<Value> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let page = api.get(&format!("/v1/audit?after={after}&limit=100")).await;
        let entries = page["entries"].as_array().unwrap();
        if entries.is_empty() {
            return all;
        }
        all.extend(entries.iter().cloned());
        after = page["next"].as_u64().unwrap();
    }
}
