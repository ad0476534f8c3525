//! What failover has while an endpoint is down. Pure.

use super::finding::{Finding, State};
use crate::config::Config;

/// Endpoints among which failover chooses: those of the CRM, or those of a number.
#[derive(Debug)]
pub(super) struct Group {
    /// The `phone_number_id`; `None` for the CRM's.
    number: Option<String>,
    /// Where their findings are, in order of preference.
    places: Vec<usize>,
}

impl Group {
    /// All groups of a configuration, where findings are in its order, WhatsApp's before the CRM's.
    pub(super) fn all(config: &Config) -> Vec<Self> {
        let whatsapp = &config.whatsapp.endpoints;
        let of_number = |id: &str| {
            let places = whatsapp.iter().enumerate().filter(|(_, entry)| entry.serves(id));
            Self { number: Some(id.to_owned()), places: places.map(|(place, _)| place).collect() }
        };
        let numbers = config.numbers.iter().map(|number| of_number(&number.phone_number_id));
        let crm = whatsapp.len()..whatsapp.len() + config.crm.endpoints.len();
        numbers.chain([Self { number: None, places: crm.collect() }]).collect()
    }
}

/// Adds to each endpoint that is down what failover has instead.
pub(super) fn tell(findings: &mut [Finding], groups: &[Group]) {
    let works: Vec<Option<String>> =
        findings.iter().map(|one| one.about.clone().filter(|_| one.state != State::Fail)).collect();
    for (place, finding) in findings.iter_mut().enumerate().filter(|(_, one)| one.state == State::Fail) {
        let of =
            groups.iter().filter_map(|group| Some((group.number.as_deref(), words(group, place, &works)?)));
        let of: Vec<_> = of.collect();
        let Some((_, first)) = of.first() else { continue };
        let told = if of.iter().all(|(_, words)| words == first) {
            first.clone()
        } else {
            let each = of.iter().map(|(number, words)| format!("{}: {words}", number.unwrap_or("the CRM")));
            each.collect::<Vec<_>>().join(" ")
        };
        finding.detail = Some(match finding.detail.take() {
            Some(detail) => format!("{detail} {told}"),
            None => told,
        });
    }
}

/// What the group of an endpoint that is down has instead; `None` where it isn't of the group. `works` has the
/// names of those that are well.
fn words(group: &Group, down: usize, works: &[Option<String>]) -> Option<String> {
    let rank = group.places.iter().position(|place| *place == down)?;
    let well = |places: &[usize]| places.iter().find_map(|place| works.get(*place)?.clone());
    let (before, after) = (well(&group.places[..rank]), well(&group.places[rank + 1..]));
    Some(match (before, after) {
        (None, Some(after)) => format!("Failover has {after}, which works."),
        (Some(before), None) => {
            format!("{before} works and goes first; while this one is down, failover has no other.")
        }
        (Some(before), Some(after)) => format!("{before} works and goes first; failover still has {after}."),
        (None, None) if group.places.len() > 1 => {
            "None of the others works either: what is to go there waits.".to_owned()
        }
        (None, None) => "There is no other: what is to go there waits.".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::finding::Check;
    use super::*;

    fn group(number: Option<&str>, places: &[usize]) -> Group {
        Group { number: number.map(str::to_owned), places: places.to_vec() }
    }

    /// What is told of each, where those with a small letter are down.
    fn told(endpoints: &[&str], groups: &[Group]) -> Vec<String> {
        let mut findings: Vec<_> = endpoints
            .iter()
            .map(|name| {
                let down = name.starts_with(char::is_lowercase);
                let state = if down { State::Fail } else { State::Warn };
                Finding::new(Check::Reach, state, "x").about(name)
            })
            .collect();
        tell(&mut findings, groups);
        findings.into_iter().map(|finding| finding.detail.unwrap_or_default()).collect()
    }

    #[test]
    fn who_is_down_says_whom_failover_has() {
        let three = [group(None, &[0, 1, 2])];
        let goes_first = "A works and goes first;";
        assert_eq!(told(&["a", "B", "C"], &three)[0], "Failover has B, which works.");
        assert_eq!(told(&["a", "b", "C"], &three)[1], "Failover has C, which works.");
        assert_eq!(told(&["A", "b", "C"], &three)[1], format!("{goes_first} failover still has C."));
        let none = format!("{goes_first} while this one is down, failover has no other.");
        assert_eq!(told(&["A", "B", "c"], &three)[2], none);
        assert_eq!(told(&["A", "b", "c"], &three)[1..], [none.clone(), none]);
        let either = "None of the others works either: what is to go there waits.";
        assert_eq!(told(&["a", "b", "c"], &three), [either; 3]);
        assert_eq!(told(&["a"], &[group(None, &[0])]), ["There is no other: what is to go there waits."]);
        assert_eq!(told(&["A", "B", "C"], &three), [""; 3]);
    }

    #[test]
    fn numbers_that_fare_differently_are_told_apart() {
        let groups = [group(Some("1"), &[0, 1]), group(Some("2"), &[0]), group(None, &[])];
        assert_eq!(
            told(&["a", "B"], &groups)[0],
            "1: Failover has B, which works. 2: There is no other: what is to go there waits."
        );
        let alike = [group(Some("1"), &[0, 1]), group(Some("2"), &[0, 1])];
        assert_eq!(told(&["a", "B"], &alike)[0], "Failover has B, which works.");
    }
}
