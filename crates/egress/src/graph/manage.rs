//! Calls that look after a number and post no message. Meta's alone: an endpoint whose path isn't
//! Graph's is never asked, and says so.

use model::Outcome;
use serde_json::{Value, json};

use super::answer::marked;
use super::callbacks::{CALLBACK_CHARS_MAX, Callbacks, SubscribedApp};
use super::client::{self, Graph, not_sent};
use super::health::HealthStatus;
use super::heard::Called;
use super::storage::Storage;

impl Graph {
    /// Asks where webhooks of `number` go.
    pub async fn webhook_configuration(&self, number: &str) -> Called<Result<Callbacks, Outcome>> {
        self.get(self.endpoint().node(number, "", &["webhook_configuration"]), Callbacks::read).await
    }

    /// Sends the webhooks of `number` to a URL of its own, whose verify token Meta asks for at once;
    /// `None` takes back what was set. Never [`Outcome::Accepted`] where it fails.
    ///
    /// Meta refuses a URL that doesn't answer its handshake. After [`Outcome::Unknown`]
    /// [`Graph::webhook_configuration`] says what holds.
    pub async fn set_callback(
        &self,
        number: &str,
        callback: Option<(&str, &str)>,
    ) -> Called<Result<(), Outcome>> {
        let configuration = match callback {
            Some((url, _)) if !(1..=CALLBACK_CHARS_MAX).contains(&url.chars().count()) => {
                return not_sent("Meta takes a callback URL of 1 to 200 characters");
            }
            Some((url, verify_token)) => {
                json!({ "override_callback_uri": url, "verify_token": verify_token })
            }
            None => json!({ "override_callback_uri": "" }),
        };
        let url = match self.endpoint().node(number, "", &[]) {
            Ok(url) => url,
            Err(reason) => return not_sent(reason),
        };
        let body = json!({ "webhook_configuration": configuration }).to_string().into_bytes();
        let take = |answer: &Value| marked(answer).map(|_| ());
        self.call(|http| client::json(http.post(url), body), take).await
    }

    /// Asks whether messages of `number` can be sent, and who stands in their way.
    pub async fn health(&self, number: &str) -> Called<Result<HealthStatus, Outcome>> {
        self.get(self.endpoint().node(number, "", &["health_status"]), HealthStatus::read).await
    }

    /// Asks which apps get the webhooks of `account` (a WhatsApp Business Account's id).
    pub async fn subscribed_apps(&self, account: &str) -> Called<Result<Vec<SubscribedApp>, Outcome>> {
        let place = self.endpoint().node(account, "/subscribed_apps", &[]);
        self.get(place, SubscribedApp::read_all).await
    }

    /// Asks what Meta keeps of the messages of `number`.
    pub async fn storage(&self, number: &str) -> Called<Result<Storage, Outcome>> {
        self.get(self.endpoint().node(number, "/settings", &[]), Storage::read).await
    }
}
