//! Whether the gateway itself runs.

use serde_json::Value;

use super::super::trust;
use super::finding::{Check, Finding};
use super::world::{Gateway, World};
use crate::demo::text::count;

pub(super) async fn check(world: &World) -> Finding {
    judge(world.gateway().await)
}

/// What its API says of it.
pub(super) fn judge(gateway: &Gateway) -> Finding {
    match gateway {
        Gateway::Runs(status) => running(status),
        Gateway::Stranger(401 | 403) => {
            Finding::fail(Check::Gateway, "something answers at `api.listen` and refuses our token")
                .detail("The gateway runs with another token, or another program has that port.")
                .next(
                    "`systemctl reload wagate` where the token was changed; else see who listens: `ss -ltnp`",
                )
        }
        Gateway::Stranger(status) => {
            let summary = format!("what answers at `api.listen` isn't a gateway (HTTP {status})");
            Finding::fail(Check::Gateway, summary)
                .next("see who listens there: `ss -ltnp`; give wagate another port in `api.listen`")
        }
        Gateway::Silent(why) if let Some([what, next]) = trust::refusal(&why.words()) => {
            Finding::fail(Check::Gateway, format!("it can't be asked: {what}"))
                .detail("The other checks go on without it, and tell less.")
                .next(next)
        }
        Gateway::Silent(why) => Finding::warn(Check::Gateway, format!("it isn't running: {}", why.words()))
            .detail("The other checks go on without it, and tell less.")
            .next("`systemctl start wagate`, and `journalctl -u wagate` where it doesn't stay up"),
        Gateway::Nowhere => {
            Finding::skip(Check::Gateway, "`api.listen` has port 0, which is another one at each start")
                .next("give it a fixed port")
        }
    }
}

fn running(status: &Value) -> Finding {
    let alarms: Vec<&str> =
        status["alarms"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let waiting = status.pointer("/backlog/records").and_then(Value::as_u64).unwrap_or_default();
    if status["ready"] != true {
        return Finding::fail(Check::Gateway, "it runs, and takes no records: the store doesn't work")
            .next("`wagate status` and `journalctl -u wagate`; docs/operating/recover.md");
    }
    let finding = match alarms.split_first() {
        None if waiting == 0 => {
            Finding::ok(Check::Gateway, "it runs and takes records; nothing waits for the CRM")
        }
        None => Finding::ok(
            Check::Gateway,
            format!("it runs and takes records; {} not yet delivered", count(waiting, "record")),
        ),
        Some((first, more)) => {
            let total = count(more.len() as u64 + 1, "alarm");
            Finding::warn(Check::Gateway, format!("it runs and takes records, with {total}"))
                .detail((*first).to_owned())
                .next("`wagate status` shows all of them")
        }
    };
    finding.fact("undelivered", waiting).fact("alarms", alarms.len())
}
