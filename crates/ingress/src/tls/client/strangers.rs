//! Authorities that nobody has named, and that clients came with.

use std::time::Duration;

use tokio::time::Instant;

use super::Whom;

/// Authorities that are remembered at once; anybody can come with another one.
const MOST: usize = 4;
/// One that wasn't seen for so long is forgotten, and the alarm with it. Meta sends again for days.
const QUIET_AFTER: Duration = Duration::from_secs(3600);

/// The authorities of late.
#[derive(Debug)]
pub(super) struct Strangers {
    whom: Whom,
    seen: Vec<Stranger>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Stranger {
    authority: String,
    /// The certificate bore the name that is expected.
    named: bool,
    seen: Instant,
}

impl Strangers {
    pub(super) const fn new(whom: Whom) -> Self {
        Self { whom, seen: Vec::new() }
    }

    /// Notes one. Who bears the right name is worth more than who doesn't; else those that are there stay.
    pub(super) fn note(&mut self, authority: String, named: bool, now: Instant) {
        self.forget(now);
        let known = self.seen.iter_mut().find(|known| known.authority == authority && known.named == named);
        if let Some(known) = known {
            known.seen = now;
            return;
        }
        if self.seen.len() >= MOST {
            let Some(worthless) = self.seen.iter().position(|known| named && !known.named) else { return };
            self.seen.remove(worthless);
        }
        self.seen.push(Stranger { authority, named, seen: now });
    }

    fn forget(&mut self, now: Instant) {
        self.seen.retain(|known| now.duration_since(known.seen) < QUIET_AFTER);
    }

    /// What a person should know, if anything.
    pub(super) fn alarm(&mut self, now: Instant) -> Option<String> {
        self.forget(now);
        let list = |named: bool| {
            let names = self.seen.iter().filter(|known| known.named == named);
            names.map(|known| format!("{:?}", known.authority)).collect::<Vec<_>>().join(", ")
        };
        let (named, others) = (list(true), list(false));
        if self.whom == Whom::Programs {
            let all =
                self.seen.iter().map(|known| format!("{:?}", known.authority)).collect::<Vec<_>>().join(", ");
            return (!all.is_empty()).then(|| {
                let key = self.whom.ca_key();
                format!(
                    "programs come to the API with client certificates of an unknown authority ({all}): give them one of an \
                     authority in `{key}`, or append theirs to that file"
                )
            });
        }
        let what = match (named.as_str(), others.as_str()) {
            ("", "") => return None,
            ("", others) => {
                format!("client certificates come from an unknown authority ({others}), not with Meta's name")
            }
            (named, _) => {
                format!("client certificates with Meta's name come from an unknown authority ({named})")
            }
        };
        Some(format!(
            "{what}: a stranger can do that; but if webhooks stay away Meta has changed its authority: get its new CA file \
             and append it to `webhook.client_auth.ca`"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_names_the_authority_and_falls_quiet() {
        let (mut strangers, start) = (Strangers::new(Whom::Meta), Instant::now());
        assert_eq!(strangers.alarm(start), None);
        strangers.note("New Root".to_owned(), true, start);
        let alarm = strangers.alarm(start).unwrap();
        assert!(alarm.contains("(\"New Root\")") && alarm.contains("webhook.client_auth.ca"), "{alarm}");
        strangers.note("New Root".to_owned(), true, start + QUIET_AFTER / 2);
        assert_eq!(strangers.alarm(start + QUIET_AFTER).as_ref(), Some(&alarm), "it was seen since");
        assert_eq!(strangers.alarm(start + QUIET_AFTER * 2), None);
    }

    #[test]
    fn strangers_neither_grow_it_nor_change_it_nor_hide_who_bears_the_name() {
        let (mut strangers, now) = (Strangers::new(Whom::Meta), Instant::now());
        for number in 0..1_000 {
            strangers.note(format!("CA {number}"), false, now);
        }
        assert_eq!(strangers.seen.len(), MOST);
        let alarm = strangers.alarm(now).unwrap();
        assert!(alarm.contains("\"CA 0\"") && !alarm.contains("\"CA 9\""), "{alarm}");
        strangers.note("Meta's next".to_owned(), true, now);
        let alarm = strangers.alarm(now).unwrap();
        assert!(
            alarm.contains("with Meta's name come from an unknown authority (\"Meta's next\")"),
            "{alarm}"
        );
        for number in 0..1_000 {
            strangers.note(format!("CA {number}"), true, now);
        }
        assert_eq!(strangers.seen.len(), MOST);
    }
}
