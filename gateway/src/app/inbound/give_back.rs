//! Giving back the webhooks of one number.

use egress::Callbacks;

use super::deed::{Deed, What};
use super::kept::Kept;
use super::{Inner, in_force, same, same_or_none, words};

impl Inner {
    /// Has Meta send the webhooks of `number` to where they went before this box took them over.
    ///
    /// What was kept is forgotten only when Meta has confirmed it.
    pub(super) async fn give_back(&self, number: &str, force: bool) -> Deed {
        let Some(kept) = self.shelf.get(number) else {
            return Deed::new(number, What::NotTaken, "this box has taken nothing over for this number");
        };
        let found = match self.line(number).read().await {
            Ok(found) => found,
            Err(failed) => return Deed::failed(number, words::unread(&failed)),
        };
        if !self.is_held(&kept, found.phone_number.as_deref()) {
            if same_or_none(found.phone_number.as_deref(), kept.before.as_deref()) {
                return self.given_back(number, &kept, &found).await;
            }
            if !force {
                return Deed::new(number, What::Changed, changed(&kept, &found));
            }
        }
        let token = self.token();
        let before = kept.before.as_deref();
        let set = self.line(number).set(before.map(|before| (before, token.as_str()))).await;
        if let Err(failed) = &set
            && failed.is_refused()
        {
            return Deed::failed(number, words::not_given_back(failed, before));
        }
        match (self.line(number).read().await, &set) {
            (Ok(now), _) if same_or_none(now.phone_number.as_deref(), before) => {
                self.given_back(number, &kept, &now).await
            }
            (Ok(_), Err(failed)) => Deed::failed(number, words::not_given_back(failed, before)),
            (Ok(now), Ok(())) => {
                let to = in_force(&now).unwrap_or("nobody");
                Deed::failed(number, format!("Meta agreed, and yet the webhooks go to {to}"))
            }
            (Err(failed), _) => {
                Deed::failed(number, format!("whether it succeeded isn't known. {}", words::unread(&failed)))
            }
        }
    }

    /// Whether the override is still this box, by the URL of today or by that of the taking over.
    fn is_held(&self, kept: &Kept, override_url: Option<&str>) -> bool {
        self.is_ours(override_url) || override_url.is_some_and(|url| same(url, &kept.ours))
    }

    async fn given_back(&self, number: &str, kept: &Kept, now: &Callbacks) -> Deed {
        if let Err(refused) = self.shelf.forget(number).await {
            let detail = format!(
                "the webhooks go where they went before; that couldn't be noted, ask again: {refused}"
            );
            return Deed::failed(number, detail);
        }
        tracing::warn!(number, "the webhooks of a number are given back");
        let detail = match in_force(now) {
            Some(url) if self.is_held(kept, Some(url)) => format!(
                "what this box had set is gone; but the account's or app's own address is this box, too, so that the \
                 webhooks still come here ({url}): there is nobody to give them back to"
            ),
            Some(url) => format!("the webhooks go to {url}"),
            None => "what this box had set is gone, and there is no other address: the webhooks go to nobody. Set the app's \
                     callback URL in Meta's dashboard"
                .to_owned(),
        };
        Deed::new(number, What::GivenBack, detail)
    }
}

fn changed(kept: &Kept, found: &Callbacks) -> String {
    let shown =
        |url: Option<&str>| url.map_or("nothing (the account's or app's own address)", |url| url).to_owned();
    format!(
        "somebody has set the number's address to {} since; before this box took over it was {}. Nothing was changed; with \
         --force it is set to the latter",
        shown(found.phone_number.as_deref()),
        shown(kept.before.as_deref())
    )
}
