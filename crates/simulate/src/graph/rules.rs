//! Which of the behaviours befalls a call.

use super::behaviour::{Behaviour, Entity, Says, Statuses, Tells};
use super::refusal::Refusal;
use crate::Random;

/// Behaviours that hold at a time; further ones are left out.
pub const BEHAVIOURS_MAX: usize = 32;

/// What kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Message,
    /// Marks as read, uploads, and what is asked for.
    Other,
}

/// How the answer is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Manner {
    /// At once.
    Plain,
    /// After so many milliseconds.
    After(u32),
    /// Not at all: the connection is closed after so many milliseconds.
    Silent(u32),
    /// The first half of it.
    Half,
}

/// What befalls a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Taken, if nothing is wrong with it; a message may fail later.
    Take { manner: Manner, fails: Option<i64> },
    /// Not taken: refused.
    Refuse(Refusal, Manner),
    /// Not taken, and no answer: the connection is closed after so many milliseconds.
    Ignore(u32),
}

/// The behaviours that hold, and what is left of them.
#[derive(Debug)]
pub(crate) struct Rules {
    rules: Vec<(Behaviour, Option<u32>)>,
    healths: Vec<Health>,
    pub(crate) statuses: Statuses,
    pub(crate) window: Tells,
    pub(crate) business_scoped: bool,
    /// Percent used, and minutes to regain access.
    pub(crate) throttle: Option<(u32, u32)>,
}

/// One thing that `health_status` says.
#[derive(Debug)]
struct Health {
    says: Says,
    entity: Entity,
    share: Option<u32>,
    left: Option<u32>,
}

impl Rules {
    pub(crate) fn new(behaviours: &[Behaviour], statuses: Statuses) -> Self {
        let mut rules = Self {
            rules: Vec::new(),
            healths: Vec::new(),
            statuses,
            window: Tells::default(),
            business_scoped: false,
            throttle: None,
        };
        for behaviour in behaviours.iter().take(BEHAVIOURS_MAX) {
            match behaviour {
                Behaviour::Ok => {}
                Behaviour::Refuse { next, .. }
                | Behaviour::Fail { next, .. }
                | Behaviour::NoAnswer { next, .. }
                | Behaviour::HalfAnswer { next, .. }
                | Behaviour::Slow { next, .. } => rules.rules.push((behaviour.clone(), *next)),
                Behaviour::Window { tells } => rules.window = *tells,
                Behaviour::BusinessScoped => rules.business_scoped = true,
                Behaviour::Throttle { percent, regain_minutes } => {
                    rules.throttle = Some((*percent, *regain_minutes));
                }
                Behaviour::Health { says, entity, share, next } => {
                    let health = Health { says: *says, entity: *entity, share: *share, left: *next };
                    rules.healths.push(health);
                }
                Behaviour::Statuses(changed) => rules.statuses = rules.statuses.changed(changed),
            }
        }
        rules
    }

    /// What `health_status` says now, in the order of [`Entity::ALL`].
    pub(crate) fn health(&mut self, random: &mut Random) -> [Says; 4] {
        let mut said = [Says::default(); 4];
        for health in &mut self.healths {
            if health.left == Some(0) || health.share.is_some_and(|share| !random.percent(share)) {
                continue;
            }
            if let Some(left) = &mut health.left {
                *left -= 1;
            }
            for (entity, says) in Entity::ALL.into_iter().zip(&mut said) {
                if entity == health.entity {
                    *says = health.says.max(*says);
                }
            }
        }
        said
    }

    /// Decides about one call.
    pub(crate) fn decide(&mut self, call: Call, random: &mut Random) -> Fate {
        for (behaviour, left) in &mut self.rules {
            let Some((fate, share)) = fate(behaviour, call) else { continue };
            // What is counted is counted in messages: a probe that comes in between uses none of it up.
            if left.is_some() && call == Call::Other {
                continue;
            }
            if *left == Some(0) || share.is_some_and(|share| !random.percent(share)) {
                continue;
            }
            if let Some(left) = left {
                *left -= 1;
            }
            return fate;
        }
        Fate::Take { manner: Manner::Plain, fails: None }
    }
}

/// What this behaviour does to such a call, and to how many of 100.
fn fate(behaviour: &Behaviour, call: Call) -> Option<(Fate, Option<u32>)> {
    let take = |manner| Fate::Take { manner, fails: None };
    Some(match behaviour {
        Behaviour::Refuse { code, retry_after_s, ms, share, .. } => {
            if call != Call::Message && !matches!(code, 190 | 500..600) {
                return None;
            }
            let manner = if *ms == 0 { Manner::Plain } else { Manner::After(*ms) };
            (Fate::Refuse(Refusal::of(*code).after(*retry_after_s), manner), *share)
        }
        Behaviour::Fail { code, share, .. } if call == Call::Message => {
            (Fate::Take { manner: Manner::Plain, fails: Some(*code) }, *share)
        }
        Behaviour::NoAnswer { taken: true, ms, share, .. } => (take(Manner::Silent(*ms)), *share),
        Behaviour::NoAnswer { taken: false, ms, share, .. } => (Fate::Ignore(*ms), *share),
        Behaviour::HalfAnswer { share, .. } => (take(Manner::Half), *share),
        Behaviour::Slow { ms, share, .. } => (take(Manner::After(*ms)), *share),
        Behaviour::Fail { .. }
        | Behaviour::Ok
        | Behaviour::Window { .. }
        | Behaviour::BusinessScoped
        | Behaviour::Throttle { .. }
        | Behaviour::Health { .. }
        | Behaviour::Statuses(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(texts: &[&str]) -> Rules {
        let behaviours: Vec<Behaviour> = texts.iter().map(|text| text.parse().unwrap()).collect();
        Rules::new(&behaviours, Statuses::PLAIN)
    }

    fn refused(rules: &mut Rules, call: Call, times: u32) -> u32 {
        let mut random = Random::new(1);
        let fates = (0..times).map(|_| rules.decide(call, &mut random));
        u32::try_from(fates.filter(|fate| matches!(fate, Fate::Refuse(..))).count()).unwrap()
    }

    #[test]
    fn the_next_few_or_a_share_are_befallen() {
        assert_eq!(refused(&mut rules(&["refuse,code=131056,next=3"]), Call::Message, 10), 3);
        let some = refused(&mut rules(&["refuse,code=131056,share=30"]), Call::Message, 1_000);
        assert!((250..350).contains(&some), "{some}");
        assert_eq!(refused(&mut rules(&["refuse,code=131056"]), Call::Message, 10), 10);
        assert_eq!(refused(&mut rules(&["ok"]), Call::Message, 10), 0);
    }

    #[test]
    fn what_is_said_of_messages_spares_other_calls() {
        assert_eq!(refused(&mut rules(&["refuse,code=131056"]), Call::Other, 10), 0);
        for code in [190, 500, 503] {
            assert_eq!(refused(&mut rules(&[&format!("refuse,code={code}")]), Call::Other, 10), 10);
        }
    }

    #[test]
    fn the_first_one_decides_and_the_others_go_on_after_it() {
        let mut rules = rules(&[
            "refuse,code=130429,ms=7,next=1",
            "no_answer,taken=false,ms=9,next=1",
            "fail,code=131026,next=1",
            "slow,ms=5",
        ]);
        let mut random = Random::new(1);
        let mut next = || rules.decide(Call::Message, &mut random);
        assert_eq!(next(), Fate::Refuse(Refusal::of(130_429), Manner::After(7)));
        assert_eq!(next(), Fate::Ignore(9));
        assert_eq!(next(), Fate::Take { manner: Manner::Plain, fails: Some(131_026) });
        assert_eq!(next(), Fate::Take { manner: Manner::After(5), fails: None });
    }

    #[test]
    fn what_is_said_of_the_health_is_the_worst_for_each_entity() {
        let mut rules = rules(&[
            "health,says=limited,entity=waba",
            "health,says=blocked,entity=waba,next=1",
            "health,says=blocked,share=0",
        ]);
        let mut random = Random::new(1);
        let of = |waba| [Says::Available, waba, Says::Available, Says::Available];
        assert_eq!(rules.health(&mut random), of(Says::Blocked));
        assert_eq!(rules.health(&mut random), of(Says::Limited));
        assert_eq!(refused(&mut rules, Call::Message, 10), 0);
    }

    #[test]
    fn traits_add_up() {
        let rules =
            rules(&["business_scoped", "statuses,batch=9", "statuses,early=3", "throttle,percent=97"]);
        assert!(rules.business_scoped);
        assert_eq!(rules.throttle, Some((97, 0)));
        assert_eq!(rules.statuses, Statuses { batch: 9, early: 3, ..Statuses::PLAIN });
    }
}
