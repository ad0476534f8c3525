//! The store side as the CRM and the operator use it.

use std::time::Duration;

use reqwest::{Client, Method, Response};
use serde_json::Value;

use super::site::API_TOKEN;

/// A client of one box.
#[derive(Clone)]
pub(crate) struct Api {
    http: Client,
    url: String,
}

impl Api {
    pub(crate) fn new(port: u16) -> Self {
        let http = Client::builder()
            .tls_backend_preconfigured(super::accept_any())
            .no_proxy()
            .timeout(Duration::from_secs(70))
            .build();
        Self { http: http.unwrap(), url: format!("http://127.0.0.1:{port}") }
    }

    /// A request with the token, and its answer whatever it is.
    pub(crate) async fn ask(&self, method: Method, path: &str) -> reqwest::Result<Response> {
        self.http.request(method, format!("{}{path}", self.url)).bearer_auth(API_TOKEN).send().await
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
