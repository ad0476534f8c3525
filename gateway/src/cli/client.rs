//! Asking a running gateway.

use std::time::Duration;

use anyhow::bail;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder, Url};
use serde_json::Value;

use super::{ApiArgs, Target, trust};

/// A connection to a running gateway's API.
pub(super) struct Client {
    http: reqwest::Client,
    target: Target,
}

impl Client {
    /// Finds the gateway.
    pub(super) fn new(args: &ApiArgs) -> anyhow::Result<Self> {
        Self::patient(args, egress::client::REQUEST_TIMEOUT)
    }

    /// The same for questions that may take so long to answer.
    pub(super) fn patient(args: &ApiArgs, patience: Duration) -> anyhow::Result<Self> {
        let settings = egress::ClientSettings {
            request_timeout: patience,
            ..egress::ClientSettings::new(crate::app::product(), 1)
        };
        let target = args.target()?;
        Ok(Self { http: trust::client(&egress::Clients::new(settings)?, &target)?, target })
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
        self.answer(self.http.request(method, url)).await
    }

    /// Asks with POST and a JSON body.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(super) async fn post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> anyhow::Result<Value> {
        let mut request = self.http.request(Method::POST, self.target.url.join(path)?);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        self.answer(request).await
    }

    /// A request for [`Self::answer`], to be completed.
    pub(super) fn request(&self, method: Method, path: &str) -> anyhow::Result<RequestBuilder> {
        Ok(self.http.request(method, self.target.url.join(path)?))
    }

    /// Sends it, with the token.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(super) async fn answer(&self, request: RequestBuilder) -> anyhow::Result<Value> {
        let request = request.bearer_auth(self.target.token.expose());
        let response = request.send().await.map_err(|error| self.unreachable(error))?;
        let status = response.status();
        let body = response.bytes().await.map_err(|error| self.unreachable(error))?;
        let value: Value = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body)? };
        if !status.is_success() {
            bail!("the gateway says {}: {}", status.as_u16(), complaint(&value));
        }
        Ok(value)
    }

    fn unreachable(&self, error: reqwest::Error) -> anyhow::Error {
        let (error, url) = (anyhow::Error::new(error), &self.target.url);
        let why = match trust::refusal(&format!("{error:#}")) {
            Some([what, next]) => format!("{what}, at {url}: {next}"),
            None => format!("no gateway answers at {url}: is it running?"),
        };
        error.context(why)
    }
}

/// A code as it stands behind what it is about, ` (wrong-board)`; nothing where there is none.
pub(super) fn code(value: &Value) -> String {
    value.as_str().map_or(String::new(), |code| format!(" ({code})"))
}

/// What a problem document says: its detail, the code by which the documents list it, and below it each member of the
/// request that is wrong.
fn complaint(problem: &Value) -> String {
    let mut text = problem["detail"].as_str().unwrap_or("no reason was given").to_owned();
    text += &code(&problem["code"]);
    for error in problem["errors"].as_array().into_iter().flatten() {
        let part = |name: &str| error[name].as_str().unwrap_or_default();
        text += &format!("\n  {} {}", part("pointer"), part("detail"));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_complaint_names_each_member_that_is_wrong() {
        assert_eq!(complaint(&Value::Null), "no reason was given");
        let refused = json!({ "detail": "the update is for another board", "code": "wrong-board" });
        assert_eq!(complaint(&refused), "the update is for another board (wrong-board)");
        let problem = json!({ "detail": "the message can't be sent", "errors": [
            { "pointer": "/to", "detail": "is no phone number" }, { "pointer": "/text/body", "detail": "is empty" }] });
        assert_eq!(
            complaint(&problem),
            "the message can't be sent\n  /to is no phone number\n  /text/body is empty"
        );
    }
}
