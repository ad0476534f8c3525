//! Watching an update: while the box fetches it, and over the start behind it.

use std::time::Duration;

use anyhow::bail;
use reqwest::Url;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::client::{Client, code};
use super::progress::{Line, amount};

/// How often the box is asked.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// An answer that takes longer is none: a box that goes down may take the question with it.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// The box may be away for so long in a row while it fetches: the network is the one that it fetches over.
const AWAY_MAX: Duration = Duration::from_secs(15 * 60);
/// Old and new version have so long together: down, three tries of 5 minutes, and back.
const START_MAX: Duration = Duration::from_secs(20 * 60);
/// What two clocks and a question may differ by.
const SLACK_MS: u64 = 5_000;

/// Has the box, which stood as in `before`, fetch from `url`; gives what came of it once it is in its slot.
pub(super) async fn fetched(
    client: &Client,
    url: &Url,
    reboot: bool,
    before: &Value,
) -> anyhow::Result<Value> {
    let asked = Instant::now();
    let begun = client.post("/v1/update", &[], &json!({ "url": url.as_str(), "reboot": reboot })).await?;
    let id = begun["job"]["id"].clone();
    let mut line = Line::default();
    let mut last = begun["job"].clone();
    let mut heard = Instant::now();
    loop {
        tokio::time::sleep(ASK_EVERY).await;
        let Some(mut shown) = ask(client).await else {
            if heard.elapsed() > AWAY_MAX {
                bail!("the box hasn't answered for {} minutes", AWAY_MAX.as_secs() / 60);
            }
            continue;
        };
        heard = Instant::now();
        let job = shown["job"].take();
        if job["id"] != id {
            // Its last word is lost where the machine goes down a second behind it.
            if reboot && is_anew(before, &shown, asked.elapsed()) {
                return Ok(last);
            }
            bail!("the gateway was started anew while it fetched the update: begin again");
        }
        let detail = job["detail"].as_str().map_or(String::new(), |detail| format!(" ({detail})"));
        match job["stage"].as_str() {
            Some("activated") => return Ok(job),
            Some("failed" | "cancelled") => {
                bail!("the update came to nothing{detail}{}; what runs stays", code(&job["code"]))
            }
            Some("waiting") => line.say(&format!("the box waits for the server{detail}"), &amount(&job)),
            Some("verifying") => line.say("the box is verifying it", &amount(&job)),
            _ => line.say("the box is fetching it", &amount(&job)),
        }
        last = job;
    }
}

async fn ask(client: &Client) -> Option<Value> {
    let asked = tokio::time::timeout(ANSWER_WITHIN, client.get("/v1/update", &[])).await;
    asked.ok().and_then(Result::ok)
}

/// What a start came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The new version runs and has proved itself.
    Committed(String),
    /// The one that ran before runs again; with what the box says of it.
    Back(String, Option<String>),
    /// Neither, for too long; with what was seen last.
    Unknown(&'static str),
}

impl Outcome {
    pub(super) const fn is_new(&self) -> bool {
        matches!(self, Self::Committed(_))
    }

    pub(super) const fn label(&self) -> &'static str {
        match self {
            Self::Committed(_) => "committed",
            Self::Back(..) => "back",
            Self::Unknown(_) => "unknown",
        }
    }

    pub(super) fn words(&self) -> String {
        match self {
            Self::Committed(version) => format!("version {version} runs and has proved itself"),
            Self::Back(version, note) => {
                let note = note.as_ref().map_or(String::new(), |note| format!(": {note}"));
                format!("the box is back on version {version}{note}")
            }
            Self::Unknown(seen) => {
                format!("{seen} for {} minutes: look at the box", START_MAX.as_secs() / 60)
            }
        }
    }
}

/// Waits until the box has been started anew and says which version it is to be.
pub(super) async fn started(client: &Client, before: &Value) -> Outcome {
    let begun = Instant::now();
    let mut line = Line::default();
    let mut seen = Seen::StillUp;
    while begun.elapsed() < START_MAX {
        tokio::time::sleep(ASK_EVERY).await;
        let shown = ask(client).await;
        match judge(before, shown.as_ref(), begun.elapsed()) {
            Ok(outcome) => return outcome,
            Err(now) => seen = now,
        }
        line.say(seen.words(), "");
    }
    Outcome::Unknown(seen.words())
}

/// What is seen of a box between two versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    StillUp,
    Down,
    OnTrial,
}

impl Seen {
    const fn words(self) -> &'static str {
        match self {
            Self::StillUp => "the box hasn't gone down yet",
            Self::Down => "the box doesn't answer",
            Self::OnTrial => "the new version runs and is still proving itself",
        }
    }
}

/// Whether the machine was started anew in the time that has `passed` between the two: one that wasn't has been up for
/// as much longer.
fn is_anew(before: &Value, shown: &Value, passed: Duration) -> bool {
    let uptime = |value: &Value| value["uptime_ms"].as_u64().unwrap_or_default();
    let passed = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
    uptime(shown).saturating_add(SLACK_MS) < uptime(before).saturating_add(passed)
}

/// `shown` is what the box says `passed` after `before`; nothing where it doesn't answer.
fn judge(before: &Value, shown: Option<&Value>, passed: Duration) -> Result<Outcome, Seen> {
    let Some(shown) = shown else { return Err(Seen::Down) };
    if !is_anew(before, shown, passed) {
        return Err(Seen::StillUp);
    }
    let version = shown["version"].as_str().unwrap_or("-").to_owned();
    if shown["slot"] == before["slot"] {
        return Ok(Outcome::Back(version, shown["note"].as_str().map(str::to_owned)));
    }
    if shown["state"] == "committed" { Ok(Outcome::Committed(version)) } else { Err(Seen::OnTrial) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn box_(slot: &str, state: &str, version: &str, uptime_s: u64) -> Value {
        json!({ "slot": slot, "state": state, "version": version, "uptime_ms": uptime_s * 1_000, "note": null })
    }

    #[test]
    fn a_start_ends_with_the_new_version_committed_or_the_old_one_back() {
        let before = box_("a", "committed", "0.1.0", 1_000);
        let at = |shown: Option<&Value>, seconds| judge(&before, shown, Duration::from_secs(seconds));
        assert_eq!(at(Some(&box_("a", "committed", "0.1.0", 1_002)), 2), Err(Seen::StillUp));
        assert_eq!(at(None, 10), Err(Seen::Down));
        assert_eq!(at(Some(&box_("b", "trial", "0.2.0", 12)), 40), Err(Seen::OnTrial));
        assert_eq!(
            at(Some(&box_("b", "committed", "0.2.0", 40)), 70),
            Ok(Outcome::Committed("0.2.0".to_owned()))
        );
        let mut back = box_("a", "committed", "0.1.0", 12);
        back["note"] = json!("slot b was given up");
        let back = at(Some(&back), 400).unwrap();
        assert_eq!(back.words(), "the box is back on version 0.1.0: slot b was given up");
        assert!(!back.is_new());
        // A box that was up for seconds only, and takes longer to come back than it had been up.
        let young = box_("a", "committed", "0.1.0", 8);
        let shown = box_("b", "committed", "0.2.0", 21);
        assert!(judge(&young, Some(&shown), Duration::from_secs(60)).unwrap().is_new());
    }
}
