//! The store side of a box, as an operator uses it.

use std::collections::HashSet;
use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use super::shop::API_TOKEN;
use super::{BOOT, LONG, within};

/// A client of one box.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
}

impl Client {
    pub(crate) fn new(port: u16) -> Self {
        Self { http: http(), url: format!("http://127.0.0.1:{port}") }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).bearer_auth(API_TOKEN)
    }

    /// Asks; gives status and JSON, or nothing where nobody answers.
    pub(crate) async fn ask(&self, path: &str) -> Option<(u16, Value)> {
        answer(self.request(Method::GET, path).timeout(Duration::from_secs(5))).await
    }

    /// The JSON behind a path that must be there.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, json) = self.ask(path).await.unwrap_or_else(|| panic!("{path}: no answer"));
        assert_eq!(status, 200, "{path}: {json}");
        json
    }

    /// Posts bytes; gives status and JSON, or nothing where the answer didn't come.
    pub(crate) async fn upload(&self, path: &str, bytes: Vec<u8>) -> Option<(u16, Value)> {
        let request = self.request(Method::POST, path).header("content-type", "application/octet-stream");
        answer(request.body(bytes)).await
    }

    pub(crate) async fn is_ready(&self) -> bool {
        self.ask("/readyz").await.is_some_and(|(status, _)| status == 200)
    }

    /// Everything about the machine.
    pub(crate) async fn machine(&self) -> Option<Value> {
        self.ask("/v1/box")
            .await
            .filter(|(status, _)| *status == 200)
            .map(|(_, json)| json["machine"].clone())
    }

    /// The version that runs, as soon as it is ready.
    pub(crate) async fn version(&self) -> Option<String> {
        if !self.is_ready().await {
            return None;
        }
        self.machine().await?["version"].as_str().map(str::to_owned)
    }

    /// Slots, and what the last start or roll-back has to say.
    pub(crate) async fn update(&self) -> Value {
        self.get("/v1/update").await
    }

    /// Hands a bundle over and waits until it is activated, or refused with the word of the reason. The box
    /// starts anew by itself then.
    pub(crate) async fn install(&self, bundle: Vec<u8>) -> Result<(), String> {
        let answer = self.upload("/v1/update", bundle).await.ok_or("no answer")?;
        self.is_activated(answer, LONG).await
    }

    /// The same with a bundle that the box fetches itself.
    pub(crate) async fn install_from(&self, url: &str) -> Result<(), String> {
        let request = self.request(Method::POST, "/v1/update").header("content-type", "application/json");
        let answer =
            answer(request.body(serde_json::json!({ "url": url }).to_string())).await.ok_or("no answer")?;
        self.is_activated(answer, BOOT).await
    }

    async fn is_activated(&self, (status, answer): (u16, Value), patience: Duration) -> Result<(), String> {
        if status != 202 && status != 200 {
            return Err(word(&answer).unwrap_or_else(|| format!("{status}: {answer}")));
        }
        within(patience, "the update is activated or refused", async || {
            // While the box goes down nobody answers any more.
            let Some((_, update)) = self.ask("/v1/update").await else { return Some(Ok(())) };
            let job = &update["job"];
            match job["stage"].as_str() {
                Some("activated") => Some(Ok(())),
                Some("failed" | "cancelled") => Some(Err(word(job).unwrap_or_else(|| job.to_string()))),
                _ => None,
            }
        })
        .await
    }

    /// The ids of all records that the box holds.
    pub(crate) async fn records(&self) -> HashSet<String> {
        let (mut found, mut after) = (HashSet::new(), "0".to_owned());
        loop {
            let page = self.get(&format!("/v1/records?after={after}&limit=1000")).await;
            let records = page["records"].as_array().unwrap();
            if records.is_empty() {
                return found;
            }
            found.extend(records.iter().map(|record| record["id"].as_str().unwrap().to_owned()));
            page["next"].as_str().unwrap().clone_into(&mut after);
        }
    }
}

/// Why something was refused.
fn word(answer: &Value) -> Option<String> {
    answer["code"].as_str().map(str::to_owned)
}

/// What a browser sees at the public side, whoever serves it.
pub(crate) async fn page(port: u16) -> Option<String> {
    let answer =
        http().get(format!("https://127.0.0.1:{port}/")).timeout(Duration::from_secs(5)).send().await.ok()?;
    answer.text().await.ok()
}

/// A client that believes every certificate.
fn http() -> reqwest::Client {
    let any = simulate::whatsapp::danger_accept_any_certificate().unwrap();
    let http = reqwest::Client::builder()
        .tls_backend_preconfigured(rustls::ClientConfig::clone(&any))
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(120));
    http.build().unwrap()
}

async fn answer(request: RequestBuilder) -> Option<(u16, Value)> {
    let answer = request.send().await.ok()?;
    let status = answer.status().as_u16();
    Some((status, serde_json::from_slice(&answer.bytes().await.ok()?).unwrap_or_default()))
}
