//! The machine below, as the running gateway tells of it: firmware, time servers, updates.

use serde_json::Value;

use super::super::client::code;
use super::finding::{Check, Finding};
use super::world::{Gateway, World};

pub(super) async fn check(world: &World) -> Vec<Finding> {
    judge(world.gateway().await)
}

/// What the gateway's API says of it.
pub(super) fn judge(gateway: &Gateway) -> Vec<Finding> {
    let Gateway::Runs(status) = gateway else {
        return vec![Finding::skip(Check::Board, "the gateway that would tell doesn't run")];
    };
    let machine = &status["machine"];
    if !machine.is_object() {
        let words = "this machine has no slots of firmware: it is updated by the package that wagate came in";
        return vec![Finding::skip(Check::Board, words)];
    }
    vec![firmware(machine), time(&status["time"]), update(&status["update"])]
}

fn firmware(machine: &Value) -> Finding {
    let part = |name: &str| machine[name].as_str().unwrap_or("-").to_owned();
    let words = format!("version {} runs from slot {} of {}", part("version"), part("slot"), part("id"));
    let finding = match (machine["note"].as_str(), machine["state"].as_str()) {
        (Some(note), _) => Finding::warn(Check::Board, words)
            .detail(format!("The last start says: {note}"))
            .next("`wagate update` shows both slots; docs/operating/update.md says what to do"),
        (None, Some("trial")) => {
            Finding::warn(Check::Board, format!("{words}, and still has to prove itself"))
                .next("wait five minutes: it stays, or the version before it comes back")
        }
        (None, _) => Finding::ok(Check::Board, words),
    };
    finding.about("firmware").fact("version", part("version")).fact("slot", part("slot"))
}

fn time(time: &Value) -> Finding {
    let servers = time["servers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let answered = servers.iter().filter(|server| server["state"] == "answered").count();
    let words = format!("{answered} of {} time servers answer", servers.len());
    let finding = match (time["synchronized"] == true, time["trouble"].as_str()) {
        (true, None) => Finding::ok(Check::Board, words),
        (true, Some(trouble)) => {
            Finding::ok(Check::Board, words).detail(format!("The last round: {trouble}"))
        }
        (false, trouble) => {
            let finding = Finding::warn(Check::Board, format!("{words}, and the clock isn't set by them"));
            let finding = match trouble {
                Some(trouble) => finding.detail(format!("The last round: {trouble}")),
                None => finding,
            };
            finding.next("open UDP port 123 outwards, or name servers of your own in `clock.servers`")
        }
    };
    finding.about("time").fact("servers", servers.len()).fact("answered", answered)
}

fn update(job: &Value) -> Finding {
    let part = |name: &str| job[name].as_str().unwrap_or("-").to_owned();
    let finding = match job["stage"].as_str() {
        None => Finding::ok(Check::Board, "none since the gateway's start"),
        Some("failed") => Finding::warn(
            Check::Board,
            format!("the last one came to nothing: {}{}", part("detail"), code(&job["code"])),
        )
        .detail("What runs stays; if a version was accepted, the other slot is empty until the next update.")
        .next("docs/operating/update.md says what to do about each reason"),
        Some("cancelled") => Finding::ok(Check::Board, "the last one was cancelled"),
        Some("activated") if job["reboot"] == false => Finding::warn(
            Check::Board,
            format!("version {} waits for the next start of the box", part("version")),
        )
        .next("start the box anew when it suits the store: POST /v1/box/reboot"),
        Some("activated") => {
            Finding::ok(Check::Board, format!("version {} is about to start", part("version")))
        }
        Some("waiting") => {
            Finding::warn(Check::Board, format!("one waits for its server: {}", part("detail")))
                .next("it goes on by itself for a day; `wagate update cancel` ends it")
        }
        Some(stage) => Finding::ok(Check::Board, format!("one is on its way: {stage}")),
    };
    finding.about("update")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::finding::State;
    use super::*;

    #[test]
    fn only_what_a_person_should_see_to_is_a_warning() {
        let states = |status: Value| -> Vec<State> {
            judge(&Gateway::Runs(status)).into_iter().map(|finding| finding.state).collect()
        };
        let machine = |state: &str, note: Value| json!({ "version": "0.2.0", "slot": "b", "id": "wagate-7f3a", "state": state, "note": note });
        let time = |synchronized: bool| {
            json!({ "synchronized": synchronized, "trouble": null,
            "servers": [{ "state": "answered" }, { "state": "silent" }] })
        };
        assert_eq!(states(json!({ "machine": null })), [State::Skip]);
        let good =
            json!({ "machine": machine("committed", Value::Null), "time": time(true), "update": null });
        assert_eq!(states(good), [State::Ok; 3]);
        let bad = json!({ "machine": machine("committed", json!("slot a was given up")), "time": time(false),
            "update": { "stage": "failed", "detail": "unknown key" } });
        assert_eq!(states(bad), [State::Warn; 3]);
        let new = json!({ "machine": machine("trial", Value::Null), "time": time(true),
            "update": { "stage": "activated", "version": "0.2.0", "reboot": false } });
        assert_eq!(states(new), [State::Warn, State::Ok, State::Warn]);
        assert_eq!(judge(&Gateway::Nowhere)[0].state, State::Skip);
    }
}
