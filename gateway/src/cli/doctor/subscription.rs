//! Whether Meta sends this box its webhooks: our app subscribed, the callback ours.

use egress::{Callbacks, HealthStatus, SubscribedApp};
use futures_util::future::{join, join_all};
use reqwest::Url;

use super::finding::{Check, Finding};
use super::graph::{self, SEE_REACH, Trouble};
use super::world::World;

pub(super) async fn check(world: &World) -> Vec<Finding> {
    let numbers = &world.config.numbers;
    if numbers.is_empty() {
        return vec![Finding::skip(Check::Subscription, "no [[numbers]] are configured")];
    }
    join_all(numbers.iter().map(|number| async move {
        let id = &number.phone_number_id;
        of_number(world, id).await.unwrap_or_else(|finding| *finding).about(id)
    }))
    .await
}

/// The line, or the one that says why there is none.
async fn of_number(world: &World, id: &str) -> Result<Finding, Box<Finding>> {
    let skip = |why: &str| Box::new(Finding::skip(Check::Subscription, why));
    let (endpoint, graph) =
        graph::meta_of(world, id).ok_or_else(|| skip(graph::no_meta(&world.config, id)))?;
    let (health, callbacks) = join(graph.health(id), graph.webhook_configuration(id)).await;
    let health = known("which account it belongs to", graph::heard(endpoint, health))?;
    let callbacks = known("where its webhooks go", graph::heard(endpoint, callbacks))?;
    let account = entity(&health, "WABA")
        .ok_or_else(|| skip("WhatsApp doesn't say which account the number belongs to"))?;
    let apps = graph::heard(endpoint, graph.subscribed_apps(account).await);
    let apps = known("which apps are subscribed", apps)?;
    Ok(judge(entity(&health, "APP"), &callbacks, &apps, world.config.public_url()))
}

/// An answer, or the line that says why there is none. `what` was asked for.
pub(super) fn known<T>(what: &str, heard: Result<T, Trouble>) -> Result<T, Box<Finding>> {
    heard.map_err(|trouble| {
        let summary = |why: &str| format!("{what} isn't known: {why}");
        Box::new(match trouble {
            Trouble::Refused(refusal) => {
                let (why, next) = graph::refusal(&refusal);
                Finding::warn(Check::Subscription, summary(&why)).next(next)
            }
            Trouble::Unheard(why) => {
                Finding::skip(Check::Subscription, summary(&why.words())).next(SEE_REACH)
            }
        })
    })
}

/// The id of one of those that a number's messages pass.
fn entity<'a>(health: &'a HealthStatus, kind: &str) -> Option<&'a str> {
    health.entities.iter().find(|entity| entity.kind == kind)?.id.as_deref()
}

/// The callback in force, and on which level it was set: the number's beats the account's beats the app's.
fn in_force(callbacks: &Callbacks) -> Option<(&str, &'static str)> {
    let levels = [
        (&callbacks.phone_number, "for this number"),
        (&callbacks.account, "for the whole account"),
        (&callbacks.application, "for the app"),
    ];
    levels.into_iter().find_map(|(url, words)| Some((url.as_deref()?, words)))
}

/// What is subscribed and where webhooks go, where our app has the id `app` (`None`: WhatsApp doesn't say) and
/// the webhook of this box is `ours`.
pub(super) fn judge(
    app: Option<&str>,
    callbacks: &Callbacks,
    apps: &[SubscribedApp],
    ours: Option<&Url>,
) -> Finding {
    if apps.is_empty() || app.is_some_and(|app| apps.iter().all(|one| one.id != app)) {
        let others = if apps.is_empty() { "no app is" } else { "only others are" };
        return Finding::fail(Check::Subscription, format!("our app isn't subscribed ({others}): nothing arrives"))
            .next("subscribe it: POST /{account}/subscribed_apps with the token, or App Dashboard, WhatsApp, Configuration");
    }
    let Some((theirs, level)) = in_force(callbacks) else {
        return Finding::fail(
            Check::Subscription,
            "the app is subscribed, and Meta has no address to send to",
        )
        .next("set the callback URL: App Dashboard, WhatsApp, Configuration; or `wagate failover take`");
    };
    let finding = match ours {
        None => {
            Finding::warn(Check::Subscription, format!("Meta sends to {theirs} (set {level}); whether that's this box isn't known"))
                .next("write this box's address into the configuration: `public_url` in [webhook]")
        }
        Some(ours) if same(ours, theirs) => {
            Finding::ok(Check::Subscription, format!("our app is subscribed, and Meta sends to {ours} (set {level})"))
        }
        Some(ours) => Finding::fail(Check::Subscription, "Meta sends elsewhere than to this box")
            .detail(format!("Meta: {theirs} (set {level}). This box: {ours}."))
            .next("`wagate failover take` has Meta send here; where a standby box has taken over, that's as it should be"),
    };
    let finding = if app.is_none() {
        finding.detail("Which of the subscribed apps is ours, WhatsApp doesn't say.")
    } else {
        finding
    };
    finding.fact("callback", theirs).fact("public_url", ours.map(Url::as_str))
}

/// Whether Meta's text means our address: a port that goes without saying may be written out.
fn same(ours: &Url, theirs: &str) -> bool {
    Url::parse(theirs).is_ok_and(|theirs| theirs == *ours)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::finding::State;
    use super::*;

    const OURS: &str = "https://box.example.com/webhook";

    /// Callbacks of the number, the account and the app; none where empty.
    pub(in super::super) fn callbacks(number: &str, account: &str, app: &str) -> Callbacks {
        let of = |url: &str| (!url.is_empty()).then(|| url.to_owned());
        Callbacks { phone_number: of(number), account: of(account), application: of(app) }
    }

    pub(in super::super) fn apps(ids: &[&str]) -> Vec<SubscribedApp> {
        let one =
            |id: &&str| SubscribedApp { id: (*id).to_owned(), name: "x".to_owned(), override_callback: None };
        ids.iter().map(one).collect()
    }

    fn state(app: Option<&str>, set: [&str; 3], ids: &[&str], ours: Option<&str>) -> State {
        let ours = ours.map(|ours| Url::parse(ours).unwrap());
        judge(app, &callbacks(set[0], set[1], set[2]), &apps(ids), ours.as_ref()).state
    }

    #[test]
    fn another_app_is_not_ours() {
        let set = ["", "", OURS];
        assert_eq!(state(Some("33"), set, &["33", "44"], Some(OURS)), State::Ok);
        assert_eq!(state(Some("33"), set, &["44"], Some(OURS)), State::Fail);
        assert_eq!(state(Some("33"), set, &[], Some(OURS)), State::Fail);
        assert_eq!(state(None, set, &["44"], Some(OURS)), State::Ok, "ours, for all that's known");
        assert_eq!(state(None, set, &[], Some(OURS)), State::Fail);
    }

    #[test]
    fn the_callback_of_the_number_beats_that_of_the_account_and_of_the_app() {
        let other = "https://standby.example.com/webhook";
        for (set, expected) in [
            (["", "", OURS], State::Ok),
            (["", "", other], State::Fail),
            (["", OURS, other], State::Ok),
            (["", other, OURS], State::Fail),
            ([OURS, other, other], State::Ok),
            ([other, "", OURS], State::Fail),
            (["", "", "https://box.example.com:443/webhook"], State::Ok),
            (["", "", "https://box.example.com/webhook/"], State::Fail),
            (["", "", ""], State::Fail),
        ] {
            assert_eq!(state(Some("33"), set, &["33"], Some(OURS)), expected, "{set:?}");
        }
        assert_eq!(state(Some("33"), ["", "", OURS], &["33"], None), State::Warn, "nobody knows ours");
    }
}
