//! Taking over the webhooks of one number.

use egress::Callbacks;
use reqwest::Url;

use super::deed::{Deed, What};
use super::kept::Kept;
use super::{By, Inner, in_force, same_or_none, words};
use crate::clock;

impl Inner {
    /// Has Meta send the webhooks of `number` to this box, and keeps where they went before.
    pub(super) async fn take(&self, number: &str, ours: &Url, by: By<'_>) -> Deed {
        let found = match self.line(number).read().await {
            Ok(found) => found,
            Err(failed) => return Deed::failed(number, words::unread(&failed)),
        };
        if self.is_ours(in_force(&found)) {
            return self.already(number, &found).await;
        }
        // Meta has just answered, so that this box is online: if the peer does, too, it was this box that wasn't.
        if let By::Standby(peer) = by
            && peer.answers().await != Some(false)
        {
            return Deed::failed(number, "the peer answers again: it keeps its webhooks");
        }
        let begun = match self.begin(number, &found, ours).await {
            Ok(begun) => begun,
            Err(refused) => {
                let detail =
                    format!("where the webhooks go now couldn't be kept, so nothing was done: {refused}");
                return Deed::failed(number, detail);
            }
        };
        let set = self.line(number).set(Some((ours.as_str(), &self.token()))).await;
        if let Err(failed) = &set
            && failed.is_refused()
        {
            // Nothing has changed, unless an earlier try did.
            if begun.taken_ms.is_none()
                && let Err(error) = self.shelf.forget(number).await
            {
                tracing::warn!(%error, "what was kept of webhooks that weren't taken over stays");
            }
            return Deed::failed(number, words::not_taken(failed, ours.as_str()));
        }
        match self.line(number).read().await {
            Ok(now) if self.is_ours(in_force(&now)) => self.taken_over(number, begun).await,
            Ok(now) => {
                let detail = match &set {
                    Ok(()) => format!(
                        "Meta took the address of this box, and yet the webhooks go to {}",
                        in_force(&now).unwrap_or("nobody")
                    ),
                    Err(failed) => words::not_taken(failed, ours.as_str()),
                };
                Deed::failed(number, detail)
            }
            Err(failed) => {
                Deed::failed(number, format!("whether it succeeded isn't known. {}", words::unread(&failed)))
            }
        }
    }

    /// The webhooks come here already: from an earlier try whose end wasn't noted, or because it was set so.
    async fn already(&self, number: &str, found: &Callbacks) -> Deed {
        let detail = match (self.shelf.get(number), found) {
            (Some(kept), Callbacks { phone_number: Some(_), .. }) => {
                if kept.taken_ms.is_none() {
                    return self.taken_over(number, kept).await;
                }
                "this box has taken the webhooks over already"
            }
            (_, Callbacks { phone_number: Some(_), .. }) => {
                "the webhooks come here by the number's own setting at Meta; nothing was changed"
            }
            (_, Callbacks { account: Some(_), .. }) => {
                "the webhooks come here by the setting of the account; nothing was changed"
            }
            _ => "the webhooks come here by the setting of the app; nothing was changed",
        };
        Deed::new(number, What::AlreadyOurs, detail)
    }

    /// Keeps what was set for the number before anything is changed. A second try keeps what the first one found.
    async fn begin(&self, number: &str, found: &Callbacks, ours: &Url) -> Result<Kept, store::Refused> {
        let before = found.phone_number.as_deref();
        if let Some(kept) = self.shelf.get(number)
            && kept.taken_ms.is_none()
            && same_or_none(kept.before.as_deref(), before)
            && kept.ours == ours.as_str()
        {
            return Ok(kept);
        }
        // What was kept of a number that somebody has sent elsewhere since is of no use any more.
        let kept = Kept {
            before: before.map(str::to_owned),
            ours: ours.as_str().to_owned(),
            begun_ms: clock::now().0,
            taken_ms: None,
        };
        self.shelf.put(number, kept.clone()).await?;
        Ok(kept)
    }

    async fn taken_over(&self, number: &str, begun: Kept) -> Deed {
        let detail = match &begun.before {
            Some(before) => format!("the webhooks come to this box now, and went to {before}"),
            None => {
                "the webhooks come to this box now, and went where those of the account or app go".to_owned()
            }
        };
        let kept = Kept { taken_ms: Some(clock::now().0), ..begun };
        tracing::warn!(number, "this box has taken over the webhooks of a number");
        if let Err(error) = self.shelf.put(number, kept).await {
            // What matters is kept since the beginning; the next look at it finds that it succeeded.
            tracing::error!(%error, "that Meta has confirmed it couldn't be noted");
        }
        Deed::new(number, What::Taken, detail)
    }
}
