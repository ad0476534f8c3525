//! A sick endpoint costs seconds, not messages: the faults of a network befall the preferred endpoints of both
//! directions at once, under live traffic and with the health settings of the contract.
//!
//! Bounds are the contract's; all else is measured, and printed as the tables of `docs/reliability.md`.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use simulate::proxy::Fault;
use tokio::sync::Semaphore;

use crate::failover_others::{a_restart_on_the_backup, nothing_of_ours_switches, without_traffic};
use crate::failover_stage::{CRM, Messages, Records, Stage, Traffic, Trouble, whatsapp};
use crate::harness::{run_alone, seed, within};

/// Boxes at a time: on two cores more would measure one another.
const AT_A_TIME: usize = 5;
/// Added to the seed of a case that is played once more.
const AGAIN: u64 = 1_000;
/// Traffic before a fault begins.
const GOOD: Duration = Duration::from_secs(3);
/// Within this a refusing endpoint is left, and a black hole, with ten messages a second.
const REFUSING: Duration = Duration::from_secs(5);
const BLACK_HOLE: Duration = Duration::from_secs(8);
/// Three good probes 10 s apart, one of which may just have been bad; and what a busy machine takes.
const BACK: Duration = Duration::from_secs(60);

/// So long after the end of a fault the last answers that it delayed have come.
const LATE: Duration = Duration::from_secs(3);
/// What every alarm says for as long as a backup is used.
const OVER_BACKUP: &str = "go over backup";

/// What is tried, and what is promised of it.
struct Case {
    name: &'static str,
    trouble: Trouble,
    lasts: Duration,
    left_within: Option<Duration>,
}

/// A row of the tables.
struct Row {
    name: &'static str,
    lasted: Duration,
    left: [Option<Duration>; 2],
    first: [Option<Duration>; 2],
    back: [Option<Duration>; 2],
    messages: Messages,
    records: Records,
    /// Promises that weren't kept; told when all is measured.
    broken: Vec<String>,
}

const fn case(name: &'static str, trouble: Trouble, lasts: u64, left_within: Option<Duration>) -> Case {
    Case { name, trouble, lasts: Duration::from_secs(lasts), left_within }
}

/// Longest first, so that all are done soon.
fn cases() -> Vec<Case> {
    let network = Trouble::Network;
    vec![
        case("packets vanish", network(Fault::Unreachable), 34, Some(BLACK_HOLE)),
        case("accepted, then silent", network(Fault::Silent), 34, Some(BLACK_HOLE)),
        case("names gone", Trouble::NamesGone, 24, None),
        // Shorter than going back takes: left twice, it would be left alone for longer than a test may last.
        case("30 % loss", network(Fault::Loss { percent: 30 }), 18, None),
        case("refused", network(Fault::Refuse), 20, Some(REFUSING)),
        case("reset in mid-answer", network(Fault::ResetInAnswer { after: 40 }), 20, None),
        case("answers 2 s late", network(Fault::Delay(Duration::from_secs(2))), 20, None),
        case("another certificate", Trouble::Certificate, 20, None),
    ]
}

#[test]
fn failover_costs_seconds_and_no_messages() {
    let all = async {
        let begun = Instant::now();
        let seed = seed("failover");
        let only = std::env::var("WAGATE_FAULT").ok();
        let chosen = |name: &str| only.as_deref().is_none_or(|only| name.contains(only));
        let places = Arc::new(Semaphore::new(AT_A_TIME));
        let mut running = tokio::task::JoinSet::new();
        for (place, case) in cases().into_iter().enumerate().filter(|(_, case)| chosen(case.name)) {
            let permit = Arc::clone(&places).acquire_owned();
            running.spawn_local(async move {
                let _permit = permit.await;
                (place, live(case, seed + place as u64).await)
            });
        }
        let mut others = tokio::task::JoinSet::new();
        for name in ["idle", "restart", "ours"].into_iter().filter(|name| chosen(name)) {
            let permit = Arc::clone(&places).acquire_owned();
            others.spawn_local(async move {
                let _permit = permit.await;
                match name {
                    "idle" => without_traffic(seed).await,
                    "restart" => a_restart_on_the_backup(seed).await,
                    _ => nothing_of_ours_switches(seed).await,
                }
            });
        }
        let mut rows = Vec::new();
        while let Some(row) = running.join_next().await {
            rows.push(row.unwrap());
        }
        while let Some(other) = others.join_next().await {
            other.unwrap();
        }
        rows.sort_by_key(|(place, _)| *place);
        let mut kept = Vec::new();
        for (place, row) in rows {
            let Some(mut row) = row else { continue };
            if !row.broken.is_empty() {
                // The other boxes may have been too much for this machine: what counts is how it goes alone.
                println!("failover: {} once more, alone: {:#?}", row.name, row.broken);
                let case = cases().swap_remove(place);
                row = live(case, seed + AGAIN + place as u64).await.expect("it was played before");
            }
            kept.push(row);
        }
        let rows = kept;
        tables(&rows);
        let broken: Vec<&String> = rows.iter().flat_map(|row| &row.broken).collect();
        println!("failover: {:.0} s in all", begun.elapsed().as_secs_f32());
        assert!(broken.is_empty(), "{broken:#?}");
    };
    run_alone(Duration::from_secs(700), async { tokio::task::LocalSet::new().run_until(all).await });
}

/// One fault under live traffic; nothing where this machine can't play it.
async fn live(case: Case, seed: u64) -> Option<Row> {
    let mut stage = Stage::new(seed, case.trouble, "").await?;
    stage.goes_by(Duration::from_secs(5), ["meta", "primary"]).await;
    let traffic = Traffic::start(&stage, seed);
    tokio::time::sleep(GOOD).await;
    assert!(stage.feed.events().iter().all(|event| event.name != "alarm"), "an alarm without a fault");
    let (begun, begun_ms) = (Instant::now(), now_ms());
    stage.begins(case.trouble).await;
    tokio::time::sleep_until((begun + case.lasts).into()).await;
    let groups = [whatsapp(), CRM.to_owned()];
    let ended = Instant::now();
    stage.ends(case.trouble).await;
    // What was late comes late, and may still be held against the endpoint.
    tokio::time::sleep(LATE).await;
    let left = groups.each_ref().map(|group| stage.feed.went_by(group, "backup", begun));
    alarmed(&stage, &left).await;
    stage.goes_by(BACK, ["meta", "primary"]).await;
    let back = [(0, "meta"), (1, "primary")]
        .map(|(place, name)| left[place].and_then(|_| stage.feed.went_by(&groups[place], name, ended)));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let sent = traffic.stop().await;
    let messages = stage.count_messages(&sent).await;
    let records = stage.count_records(&sent).await;
    let mut row = Row {
        name: case.name,
        lasted: ended - begun,
        left: left.map(|left| left.map(|at| at - begun)),
        first: [stage.first_message_by_backup(begun_ms), stage.first_record_by_backup(begun).await],
        back: back.map(|back| back.map(|at| at - ended)),
        messages,
        records,
        broken: Vec::new(),
    };
    println!("{}", row.told(0));
    println!("{}", row.told(1));
    assert_eq!((row.messages.lost, row.messages.twice, row.records.lost), (0, 0, 0), "{}", row.name);
    for (place, direction) in ["to WhatsApp", "to the CRM"].into_iter().enumerate() {
        if let Some(bound) = case.left_within {
            // Leaving is worth nothing unless messages and records go on by the backup.
            let (left, first) = (row.left[place], row.first[place]);
            if [left, first].iter().any(|at| at.is_none_or(|at| at > bound)) {
                let name = row.name;
                row.broken.push(format!("{name} {direction}: left after {left:?}, first after {first:?}"));
            }
        }
    }
    told(&stage, &row).await;
    stage.stop().await;
    Some(row)
}

/// A person is told of every backup in use.
async fn alarmed(stage: &Stage, left: &[Option<Instant>; 2]) {
    for (of, _) in
        ["messages of number ", "records to the CRM "].iter().zip(left).filter(|(_, left)| left.is_some())
    {
        within(Duration::from_secs(10), "the alarm comes", async || {
            let mut alarms = stage.api.alarms().await.into_iter();
            alarms.any(|alarm| alarm.starts_with(of) && alarm.contains(OVER_BACKUP)).then_some(())
        })
        .await;
    }
}

/// Each change is in the log of records, with its ends and its reason, and the alarm has gone.
async fn told(stage: &Stage, row: &Row) {
    let changes = stage.api.records("wagate.endpoint.changed.v1").await;
    for (place, (group, name)) in [(whatsapp(), "meta"), (CRM.to_owned(), "primary")].into_iter().enumerate()
    {
        let of: Vec<_> =
            changes.iter().map(|one| &one["data"]["endpoint"]).filter(|one| one["group"] == *group).collect();
        if row.left[place].is_none() {
            continue;
        }
        let (first, last) = (of.first().unwrap(), of.last().unwrap());
        assert_eq!((&first["from"], &first["to"]), (&name.into(), &"backup".into()), "{first:#}");
        assert!(["failed", "slow"].contains(&first["reason"].as_str().unwrap()), "{first:#}");
        assert_eq!((&last["from"], &last["to"]), (&"backup".into(), &name.into()), "{last:#}");
        assert_eq!(last["reason"], "recovered", "{last:#}");
        let switches = stage.api.metric("wagate_endpoint_switches_total", &group).await;
        assert!(
            (switches - of.len() as f64).abs() < f64::EPSILON,
            "{switches} switches, {} records",
            of.len()
        );
    }
    let places = row.left.iter().flatten().count();
    within(Duration::from_secs(10), "the alarms come and go", async || {
        let alarms = stage.api.alarms().await;
        let said = |raised: bool| {
            let events = stage.feed.events().into_iter();
            let of = events.filter(|event| {
                event.data["text"].as_str().is_some_and(|text| text.contains(OVER_BACKUP))
                    && event.data["raised"] == raised
            });
            of.count()
        };
        let gone = !alarms.iter().any(|alarm| alarm.contains(OVER_BACKUP));
        (gone && said(true) >= places && said(false) == said(true)).then_some(())
    })
    .await;
}

impl Row {
    fn told(&self, place: usize) -> String {
        let seconds = |time: Option<Duration>| {
            time.map_or_else(|| "–".to_owned(), |time| format!("{:.1} s", time.as_secs_f32()))
        };
        let (left, first, back) =
            (seconds(self.left[place]), seconds(self.first[place]), seconds(self.back[place]));
        let lasted = self.lasted.as_secs();
        let left = if self.left[place].is_none() { "not left".to_owned() } else { left };
        let Self { name, messages, records, .. } = self;
        if place == 0 {
            let Messages { queued, lost, twice, uncertain: (were, are), by_backup } = messages;
            format!(
                "| {name} | {lasted} s | {left} | {first} | {queued} | {by_backup} | {lost} | {twice} | {were} | {are} | {back} |"
            )
        } else {
            let Records { queued, lost, both, by_backup } = records;
            format!(
                "| {name} | {lasted} s | {left} | {first} | {queued} | {by_backup} | {lost} | {both} | {back} |"
            )
        }
    }
}

/// In the form of `docs/reliability.md`.
fn tables(rows: &[Row]) {
    println!(
        "\n| fault | lasted | left after | first message by the backup | messages | by the backup | lost | duplicates | \
         uncertain meanwhile | in the end | back after |"
    );
    println!("|---|{}", "--:|".repeat(10));
    rows.iter().for_each(|row| println!("{}", row.told(0)));
    println!(
        "\n| fault | lasted | left after | first record by the backup | records | at the backup | lost | at both | back after |"
    );
    println!("|---|{}", "--:|".repeat(8));
    rows.iter().for_each(|row| println!("{}", row.told(1)));
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}
