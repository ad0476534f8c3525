//! The world without sockets or clocks.

use super::*;

const DAY: i64 = 24 * 60 * 60 * 1_000;

fn world(behaviours: &[&str]) -> World {
    let behaviours: Vec<_> = behaviours.iter().map(|text| text.parse().unwrap()).collect();
    let constants = Constants {
        numbers: vec!["1".to_owned()],
        throughput: Some(80),
        pair_rate: true,
        seed: 1,
        statuses: Statuses::PLAIN,
    };
    let mut world = World::new(constants, Setup::default());
    world.add_door("meta", UserIds::default());
    world.behave(0, &behaviours);
    world
}

fn text(to: &str, id: &str) -> Vec<u8> {
    json!({ "messaging_product": "whatsapp", "to": to, "type": "text", "text": { "body": "Hi" },
        "biz_opaque_callback_data": id })
    .to_string()
    .into_bytes()
}

fn template(to: &str, id: &str) -> Vec<u8> {
    json!({ "messaging_product": "whatsapp", "to": to, "type": "template",
        "template": { "name": "order", "language": { "code": "en" } }, "biz_opaque_callback_data": id })
    .to_string()
    .into_bytes()
}

/// The code of a refusal; 200 for an answer, 0 for none.
fn said(verdict: &Verdict) -> i64 {
    match &verdict.say {
        Say::Yes(_) | Say::File(_) => 200,
        Say::No(refusal) => refusal.code.unwrap_or_else(|| i64::from(refusal.http)),
        Say::Nothing(_) => 0,
    }
}

fn fails(verdict: &Verdict) -> Option<i64> {
    verdict.statuses.as_ref()?.0.fails.as_ref()?.code
}

#[test]
fn free_form_needs_an_open_window_and_a_template_does_not() {
    let mut world = world(&[]);
    let verdict = world.post(0, "1", &text("+12125550100", "m-1"), 1_000, 0);
    assert_eq!((said(&verdict), fails(&verdict)), (200, Some(131_047)));
    assert_eq!(fails(&world.post(0, "1", &template("+12125550100", "m-2"), 1_000, 0)), None);
    world.heard("1", Some("12125550100"), Some("US.7"), 2_000);
    let verdict = world.post(0, "1", &text("+12125550100", "m-3"), 2_000 + DAY - 1, 0);
    assert_eq!((said(&verdict), fails(&verdict)), (200, None));
    assert_eq!(verdict.statuses.unwrap().0.user_id, "US.7");
    assert_eq!(fails(&world.post(0, "1", &text("+12125550100", "m-4"), 2_000 + DAY, 0)), Some(131_047));
    let observed = world.observed(0);
    let number = &observed.numbers["1"];
    assert_eq!((number.free_form_outside_window, number.pushes, observed.unique_recipients_most), (2, 1, 1));
}

#[test]
fn a_closed_window_may_be_told_at_once_or_never() {
    let mut at_once = world(&["window,tells=at_once"]);
    assert_eq!(said(&at_once.post(0, "1", &text("+12125550100", "m-1"), 1_000, 0)), 131_047);
    assert_eq!(at_once.observed(0).accepted, 0);
    let mut never = world(&["window,tells=never"]);
    assert_eq!(fails(&never.post(0, "1", &text("+12125550100", "m-1"), 1_000, 0)), None);
}

#[test]
fn the_pair_rate_and_the_throughput_are_kept() {
    let mut world = world(&["window,tells=never"]);
    let codes: Vec<i64> =
        (0..47).map(|time| said(&world.post(0, "1", &text("+12125550100", "m"), time * 20, 0))).collect();
    assert_eq!((codes.iter().filter(|code| **code == 200).count(), codes[45]), (45, 131_056));
    let mut codes = Vec::new();
    for number in 0..50 {
        codes.push(said(&world.post(0, "1", &text(&format!("+121255501{number:02}"), "n"), 1_000, 0)));
    }
    // Of the moving second ending at 1,000 ms 44 were taken before.
    assert_eq!(codes.iter().filter(|code| **code == 200).count(), 80 - 44);
    assert_eq!(codes.last(), Some(&130_429));
    let number = &world.observed(0).numbers["1"];
    assert_eq!((number.most_in_a_second, number.most_of_pair_burst), (80, 45));
}

#[test]
fn what_is_taken_and_what_is_answered_are_two_things() {
    let mut world = world(&[
        "no_answer,taken=true,ms=5,next=1",
        "no_answer,taken=false,ms=6,next=1",
        "half_answer,next=1",
        "fail,code=131026,next=1",
        "refuse,code=503,next=1",
    ]);
    let mut post = || world.post(0, "1", &template("+12125550100", "m-1"), 1_000, 0);
    let taken = post();
    assert_eq!((taken.manner, taken.statuses.is_some()), (Manner::Silent(5), true));
    let ignored = post();
    assert_eq!((said(&ignored), ignored.statuses.is_some()), (0, false));
    assert_eq!(post().manner, Manner::Half);
    assert_eq!(fails(&post()), Some(131_026));
    assert_eq!(said(&post()), 503);
    let observed = world.observed(0);
    assert_eq!((observed.posted, observed.accepted, observed.taken_twice), (5, 3, 1));
    assert_eq!((observed.unanswered, observed.ignored, observed.refused[&503]), (2, 1, 1));
}

#[test]
fn a_username_hides_the_phone() {
    let mut world = world(&["business_scoped"]);
    let Say::Yes(answer) = world.post(0, "1", &template("+12125550100", "m-1"), 1_000, 0).say else {
        panic!("refused")
    };
    assert_eq!(answer["contacts"][0]["input"], "+12125550100");
    assert!(answer["contacts"][0].get("wa_id").is_none());
    assert!(answer["contacts"][0]["user_id"].as_str().unwrap().starts_with("US."));
}

#[test]
fn the_same_seed_gives_the_same_ids_and_each_its_own() {
    let ids = || {
        let mut world = world(&[]);
        (0..100)
            .map(|time| match world.post(0, "1", &template("+12125550100", "m"), time * 6_000, 0).say {
                Say::Yes(answer) => answer["messages"][0]["id"].as_str().unwrap().to_owned(),
                Say::File(_) | Say::No(_) | Say::Nothing(_) => panic!("refused"),
            })
            .collect::<Vec<_>>()
    };
    let mut one = ids();
    assert_eq!(one, ids());
    one.sort_unstable();
    one.dedup();
    assert_eq!(one.len(), 100);
    assert!(one.iter().all(|id| id.len() <= 256));
}
