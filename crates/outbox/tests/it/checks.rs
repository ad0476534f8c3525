//! What must hold, judged by what Graph was really sent.

use std::collections::{BTreeMap, BTreeSet};

use model::Standing;
use wagate_outbox::{Call, Kind, Number, Table as _};

use crate::graph::{Post, Settled};
use crate::history::What;
use crate::world::{Checked, DAY, Told, World};

/// Calls in flight of one number, by the contract.
const CALLS_MAX: usize = 8;
/// So long the books know what was used.
const UNITS_KEPT_DAYS: i32 = 60;

/// The height of a standing: none ever goes down. What isn't over stands below all.
pub(crate) const fn rank(standing: Standing) -> u8 {
    match standing {
        Standing::Queued | Standing::Held | Standing::Sending | Standing::Uncertain => 0,
        Standing::Expired | Standing::Cancelled | Standing::Accepted => 1,
        Standing::Sent => 2,
        Standing::Delivered => 3,
        Standing::Read => 4,
        Standing::Failed => 5,
    }
}

/// Whether a call may be made now.
pub(crate) fn post(
    world: &World,
    post: &Post,
    told: &Told,
    call: &Call,
    number: &Number,
    window: Option<i64>,
    send_again_after: Option<i64>,
) -> Checked {
    let now = post.at;
    let who = format!("{} to {} from {} at {now}", post.id, post.contact, post.number);
    let open: Vec<&Post> = world.open_calls().filter(|open| open.number == post.number).collect();
    if open.len() + world.open_probes(&post.number) >= CALLS_MAX {
        return Err(format!("{who}: more than {CALLS_MAX} calls in flight"));
    }
    let family = world.disk.family(post.contact);
    if open.iter().any(|open| family.contains(&open.contact)) {
        return Err(format!("{who}: two calls in flight for one recipient"));
    }
    let of_number: Vec<&Post> = world.posts.iter().filter(|other| other.number == post.number).collect();
    let most =
        world.throughput.get(&post.number).map_or(number.per_second, |told| number.per_second.min(*told));
    let second = of_number.iter().filter(|other| other.at > now - 1_000).count() + 1;
    if second > usize::try_from(most).unwrap() {
        return Err(format!("{who}: {second} calls in a second, and {most} are allowed"));
    }
    // What was on its way at midnight may be of either day.
    let is_open = |other: &Post| open.iter().any(|open| std::ptr::eq(*open, other));
    let ended = |other: &Post| if is_open(other) { now } else { other.ended.unwrap_or(other.at + 60_000) };
    let of_today = |other: &&&Post| other.day == post.day || number.zone.day(ended(other)).0 == post.day;
    let today: Vec<&&Post> = of_number.iter().filter(of_today).collect();
    let calls = today.iter().filter(|other| other.settled != Settled::NotSent).count() as u64 + 1;
    let probes = world.probes.get(&(post.number.clone(), post.day)).copied().unwrap_or(0)
        + world.late_probes(&post.number, post.day);
    if calls + probes > number.calls_per_day {
        return Err(format!("{who}: {calls} calls and {probes} probes a day of {}", number.calls_per_day));
    }
    if call.kind != Kind::ReadMark {
        // By when Graph has them, which may be the day after that of their call.
        let day = |post: &Post| number.zone.day(post.arrives).0;
        let alike = |other: &&&Post| other.kind != Kind::ReadMark && other.taken && day(other) == day(post);
        let messages = of_number.iter().filter(alike).count() as u64;
        if messages + u64::from(post.taken) > number.messages_per_day {
            return Err(format!("{who}: {messages} messages went of {}", number.messages_per_day));
        }
        let pair: Vec<i64> = of_number
            .iter()
            .filter(|other| other.contact == post.contact && other.kind != Kind::ReadMark)
            .map(|other| other.at)
            .collect();
        for (count, first) in (2_i64..).zip(pair.iter().rev()) {
            if count > 45 + (now - first) / 6_000 {
                return Err(format!("{who}: {count} to one recipient in {} ms", now - first));
            }
        }
    }
    let free = call.payload == "free" && told.what != What::Mark;
    if free && window.is_none_or(|closes| now >= closes - 30_000) {
        return Err(format!("{who}: free-form outside the window, {window:?}"));
    }
    if free != (call.kind == Kind::FreeForm) {
        return Err(format!("{who}: {:?} isn't what goes", call.kind));
    }
    push_rule(world, post)?;
    repeats(world, post, told, send_again_after)
}

fn repeats(world: &World, post: &Post, told: &Told, send_again_after: Option<i64>) -> Checked {
    if told.certain {
        return Err(format!("{} is posted although it is known what came of it", post.id));
    }
    let Some(last) = told.posts.last().map(|last| &world.posts[*last]) else { return Ok(()) };
    match last.settled {
        Settled::Refused | Settled::NotSent => Ok(()),
        _ if told.again => Ok(()),
        _ if send_again_after.is_some_and(|after| post.at - last.at >= after) => Ok(()),
        _ => Err(format!("{} is posted twice, and nobody asked for it", post.id)),
    }
}

/// At the end, when everything was well for long.
pub(crate) fn end(world: &mut World) -> Checked {
    world.audit()?;
    let audit = wagate_outbox::audit(&world.outbox, &world.disk).unwrap();
    // With more people than two a day are let in for 30 days, some wait in vain.
    let many = world.told.len() > 25;
    for told in world.told.values() {
        let Some(id) = told.id else { continue };
        let Some((standing, why)) = audit.messages.get(&id) else {
            if world.forgets() {
                continue;
            }
            return Err(format!("{id} is lost"));
        };
        let over = !matches!(standing, Standing::Queued | Standing::Held | Standing::Sending);
        if !over {
            return Err(format!("{id} is {standing:?} for ever ({why:?})"));
        }
        let sent =
            matches!(standing, Standing::Accepted | Standing::Sent | Standing::Delivered | Standing::Read);
        if sent && told.what != What::Mark && told.notes != 1 {
            return Err(format!("the CRM was told {} times that {id} is sent", told.notes));
        }
        let waited_for_window = matches!(told.what, What::Free);
        if *standing == Standing::Expired && !told.expires && !waited_for_window && !many {
            return Err(format!("{id} waited for nothing until it expired ({why:?})"));
        }
    }
    pushes(world)?;
    units(world, &audit)?;
    order(world)
}

/// Unique recipients and pushes, by when Graph had them.
fn pushes(world: &World) -> Checked {
    let mut pushes: Vec<&Post> = world.posts.iter().filter(|post| post.push && post.taken).collect();
    pushes.sort_by_key(|post| post.arrives);
    let settings = world.outbox.settings();
    let portfolio = |post: &Post| settings.numbers[&post.number].portfolio.clone();
    let person = |post: &Post| world.disk.family(post.contact).into_iter().min();
    for (place, push) in pushes.iter().enumerate() {
        let before = pushes[..place].iter().rev().take_while(|other| other.arrives > push.arrives - DAY);
        let mut unique: BTreeSet<_> =
            before.filter(|other| portfolio(other) == portfolio(push)).map(|other| person(other)).collect();
        if !unique.insert(person(push)) {
            // Whatever the limit is by now, this one counts nobody new.
            continue;
        }
        // The limit may have changed while some were on their way.
        let alike = pushes[..=place].iter().filter(|other| portfolio(other) == portfolio(push));
        let newest = alike.max_by_key(|other| other.at);
        if unique.len() as u64 > newest.map_or(0, |newest| newest.recipients_max) {
            return Err(format!(
                "{} unique recipients in a day of {}, with {} at {}",
                unique.len(),
                push.recipients_max,
                push.id,
                push.at
            ));
        }
    }
    Ok(())
}

/// Units in the books against what Graph saw, to the last one.
fn units(world: &World, audit: &wagate_outbox::Audit) -> Checked {
    let mut messages: BTreeMap<(String, i32), u64> = audit.waiting.clone();
    let mut calls: BTreeMap<(String, i32), u64> = world.probes.clone();
    for post in &world.posts {
        let key = (post.number.clone(), post.day);
        *calls.entry(key.clone()).or_default() += u64::from(post.settled != Settled::NotSent);
        let gone = !matches!(post.settled, Settled::NotSent | Settled::Refused);
        *messages.entry(key).or_default() += u64::from(gone && post.kind != Kind::ReadMark);
        // Graph may have had it on the day after.
        let ended = post.ended.unwrap_or(post.at + 60_000);
        let day = world.outbox.settings().numbers[&post.number].zone.day(ended).0;
        if day != post.day {
            let key = (post.number.clone(), day);
            *calls.entry(key.clone()).or_default() += u64::from(post.settled != Settled::NotSent);
            *messages.entry(key).or_default() += u64::from(gone && post.kind != Kind::ReadMark);
        }
    }
    let keys: BTreeSet<_> = calls.keys().chain(messages.keys()).chain(audit.units.keys()).cloned().collect();
    // Of what is older than that the books know nothing any more.
    let kept_from = audit.units.keys().map(|(_, day)| day - UNITS_KEPT_DAYS).max().unwrap_or(i32::MIN);
    for key in keys.into_iter().filter(|(_, day)| *day > kept_from) {
        let books = audit.units.get(&key).copied().unwrap_or_default();
        let of = |map: &BTreeMap<(String, i32), u64>| map.get(&key).copied().unwrap_or(0);
        let seen = (of(&messages), of(&calls));
        if books != seen {
            return Err(format!("units of {key:?}: {books:?} in the books, and {seen:?} were used"));
        }
    }
    Ok(())
}

/// Messages to one recipient that nothing of their own held up went in the order in which they were queued.
fn order(world: &mut World) -> Checked {
    let now = world.now();
    let turn = world.outbox.turn(&world.disk, now);
    let mut lanes: BTreeMap<(String, u128, u8), Vec<(u64, usize)>> = BTreeMap::new();
    for told in world.told.values().filter(|told| told.posts.len() == 1 && told.what != What::Mark) {
        let post = &world.posts[told.posts[0]];
        let Some(shown) = turn.message(post.id).unwrap() else { continue };
        let held_up = |step: &wagate_outbox::Step| {
            matches!(step.standing, Standing::Held | Standing::Uncertain | Standing::Failed)
        };
        if shown.history.iter().any(held_up) {
            continue;
        }
        let lane = (post.number.clone(), post.contact, told.priority as u8);
        lanes.entry(lane).or_default().push((post.id.place, told.posts[0]));
    }
    for (lane, mut messages) in lanes {
        messages.sort_unstable();
        if !messages.is_sorted_by_key(|(_, post)| *post) {
            return Err(format!("out of order in {lane:?}: {messages:?}"));
        }
    }
    Ok(())
}

/// A push to somebody who hasn't agreed comes a day after the last.
fn push_rule(world: &World, post: &Post) -> Checked {
    let family = world.disk.family(post.contact);
    if !post.push || family.iter().any(|one| world.consents.get(one) == Some(&true)) {
        return Ok(());
    }
    let before = world.posts.iter().find(|other| {
        other.push && other.taken && family.contains(&other.contact) && other.arrives > post.at - DAY
    });
    match before {
        Some(before) => Err(format!("{} is pushed, and {} was at {}", post.id, before.id, before.at)),
        None => Ok(()),
    }
}
