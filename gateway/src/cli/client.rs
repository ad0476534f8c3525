//! Asking a running gateway.

use anyhow::{Context as _, bail};
use reqwest::{Method, Url};
use serde_json::Value;

use super::{ApiArgs, Target};

/// A connection to a running gateway's API.
pub(super) struct Client {
    http: reqwest::Client,
    target: Target,
}

impl Client {
    /// Finds the gateway.
    pub(super) fn new(args: &ApiArgs) -> anyhow::Result<Self> {
        let settings = egress::ClientSettings::new(crate::app::product(), 1);
        Ok(Self { http: egress::Clients::new(settings)?.client()?, target: args.target()? })
    }

    /// Runs `work` to its end.
    pub(super) fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
    }

    /// Asks with GET.
    pub(super) async fn get(&self, path: &str, query: &[(&str, String)]) -> anyhow::Result<Value> {
        self.ask(Method::GET, path, query).await
    }

    /// Asks; an answer without a body is `null`.
    ///
    /// # Errors
    /// When the gateway can't be reached, or says no: then with its reason.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
    ) -> anyhow::Result<Value> {
        let mut url: Url = self.target.url.join(path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.http.request(method, url).bearer_auth(self.target.token.expose());
        let unreachable = || format!("no gateway answers at {}: is it running?", self.target.url);
        let response = request.send().await.with_context(unreachable)?;
        let status = response.status();
        let body = response.bytes().await.with_context(unreachable)?;
        let value: Value = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body)? };
        if !status.is_success() {
            let detail = value.get("detail").and_then(Value::as_str).unwrap_or("no reason was given");
            bail!("the gateway says {}: {detail}", status.as_u16());
        }
        Ok(value)
    }
}
