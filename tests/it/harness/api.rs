//! The store side as the CRM and the operator use it.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;

use super::site::API_TOKEN;

/// A client of one box.
#[derive(Clone)]
pub(crate) struct Api {
    http: Client,
    url: String,
}

impl Api {
    /// A client of the box whose store side is at `url`.
    pub(crate) fn new(url: String) -> Self {
        Self::from_address([127, 0, 0, 1], url)
    }

    /// The same, which calls from this address.
    pub(crate) fn from_address(address: [u8; 4], url: String) -> Self {
        let http = Client::builder()
            .tls_backend_preconfigured(super::accept_any())
            .no_proxy()
            .local_address(IpAddr::from(address))
            .timeout(Duration::from_secs(70))
            .build();
        Self { http: http.unwrap(), url }
    }

    /// A request with the token, and its answer whatever it is.
    pub(crate) async fn ask(&self, method: Method, path: &str) -> reqwest::Result<Response> {
        self.http.request(method, format!("{}{path}", self.url)).bearer_auth(API_TOKEN).send().await
    }

    /// The stream of what changes, for as long as a test takes.
    pub(crate) async fn events(&self) -> reqwest::Result<Response> {
        let url = format!("{}/v1/events?types=endpoint,alarm,message", self.url);
        self.http.get(url).timeout(Duration::from_secs(600)).bearer_auth(API_TOKEN).send().await
    }

    /// Posts JSON, under an `Idempotency-Key` where there is one; gives the answer's status and JSON.
    pub(crate) async fn post(
        &self,
        path: &str,
        key: Option<&str>,
        body: &Value,
    ) -> reqwest::Result<(u16, Value)> {
        let mut request = self.http.post(format!("{}{path}", self.url));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        json(request, body).await
    }

    /// Puts JSON; gives the answer's status, if there is an answer.
    pub(crate) async fn try_put(&self, path: &str, body: &Value) -> reqwest::Result<u16> {
        json(self.http.put(format!("{}{path}", self.url)), body).await.map(|(status, _)| status)
    }

    /// Puts JSON; gives the answer's status and JSON.
    pub(crate) async fn put(&self, path: &str, body: &Value) -> (u16, Value) {
        json(self.http.put(format!("{}{path}", self.url)), body).await.unwrap()
    }

    /// Posts a file; gives the answer's status and JSON.
    pub(crate) async fn upload(&self, path: &str, kind: &str, file: &'static [u8]) -> (u16, Value) {
        let request = self.http.post(format!("{}{path}", self.url)).bearer_auth(API_TOKEN);
        let answer = request.header("content-type", kind).body(file).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
    }

    /// All records of a type that are in the log.
    pub(crate) async fn records(&self, kind: &str) -> Vec<Value> {
        let (mut found, mut after) = (Vec::new(), "0".to_owned());
        loop {
            let page = self.get(&format!("/v1/records?after={after}&limit=1000")).await;
            let records = page["records"].as_array().unwrap();
            if records.is_empty() {
                return found;
            }
            found.extend(records.iter().filter(|record| record["type"] == kind).cloned());
            page["next"].as_str().unwrap().clone_into(&mut after);
        }
    }

    /// A request with this token, and its status.
    pub(crate) async fn status_as(&self, token: &str, method: Method, path: &str) -> u16 {
        let request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(token);
        request.send().await.unwrap().status().as_u16()
    }

    /// A request that shows this in `Authorization`, or nothing.
    pub(crate) async fn ask_as(&self, authorization: Option<&str>, path: &str) -> Response {
        let mut request = self.http.get(format!("{}{path}", self.url));
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        request.send().await.unwrap()
    }

    /// The JSON behind a path that must be there.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let response = self.ask(Method::GET, path).await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
    }

    pub(crate) async fn status(&self) -> Value {
        self.get("/v1/status").await
    }

    /// Records that wait for the CRM.
    pub(crate) async fn backlog(&self) -> u64 {
        self.status().await["backlog"]["records"].as_u64().unwrap()
    }

    pub(crate) async fn alarms(&self) -> Vec<String> {
        let status = self.status().await;
        let alarms = status["alarms"].as_array().unwrap().iter();
        alarms.map(|alarm| alarm.as_str().unwrap().to_owned()).collect()
    }

    /// Waits until nothing waits for the CRM any more.
    pub(crate) async fn drained(&self) {
        super::eventually("the backlog drains", async || (self.backlog().await == 0).then_some(())).await;
    }

    /// The sum of a metric over its labels that contain `label`.
    pub(crate) async fn metric(&self, name: &str, label: &str) -> f64 {
        let text = self.ask(Method::GET, "/metrics").await.unwrap().text().await.unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let values = lines.filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (found, labels) = series.split_once('{').unwrap_or((series, ""));
            (found == name && labels.contains(label)).then(|| value.parse::<f64>().unwrap())
        });
        values.sum()
    }
}

async fn json(request: RequestBuilder, body: &Value) -> reqwest::Result<(u16, Value)> {
    let request = request.bearer_auth(API_TOKEN).header("content-type", "application/json");
    let answer = request.body(body.to_string()).send().await?;
    let status = answer.status().as_u16();
    Ok((status, serde_json::from_slice(&answer.bytes().await?).unwrap_or_default()))
}
