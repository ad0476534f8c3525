//! How the webhooks of each number go.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
use model::WallTime;
use serde_json::{Value, json};

use super::{Inbound, Inner, NUMBERS_AT_ONCE, in_force, words};

impl Inbound {
    /// `GET /v1/failover`: asks Meta about each number that it can be asked about, a call each, and shows what is kept.
    pub(crate) async fn view(&self) -> Value {
        let inner = Arc::clone(&self.0);
        let can = inner.numbers.iter().filter(|number| !inner.graphs(number).is_empty());
        let looks: Vec<_> = can
            .cloned()
            .map(|number| {
                let inner = Arc::clone(&inner);
                async move { inner.look(&number).await }
            })
            .collect();
        let numbers: Vec<Value> = stream::iter(looks).buffered(NUMBERS_AT_ONCE).collect().await;
        json!({
            "public_url": inner.public_url.as_ref().map(reqwest::Url::as_str),
            "numbers": numbers,
            "standby": inner.watch.as_ref().map(super::Watch::view),
        })
    }
}

impl Inner {
    async fn look(&self, number: &str) -> Value {
        let kept = self.shelf.get(number);
        let taken_at = kept.as_ref().and_then(|kept| kept.taken_ms).map(|ms| WallTime(ms).rfc3339_millis());
        let mut shown = json!({
            "number": number,
            "callbacks": null,
            "in_force": null,
            "ours": null,
            "taken_at": taken_at,
            "before": kept.and_then(|kept| kept.before),
            "error": null,
        });
        match self.reading_line(number).read().await {
            Ok(found) => {
                let to = in_force(&found);
                shown["ours"] = json!(self.is_ours(to));
                shown["in_force"] = json!(to);
                shown["callbacks"] = json!({
                    "phone_number": found.phone_number,
                    "account": found.account,
                    "application": found.application,
                });
            }
            Err(failed) => shown["error"] = json!(words::unread(&failed)),
        }
        shown
    }
}
