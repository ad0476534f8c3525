//! The whole path: webhook over TLS, disk, 200, record to the CRM.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::signature::hub::AppSecret;
use model::signature::standard_webhooks::SigningSecret;
use simulate::crm::{Crm, CrmOptions, Keep};
use simulate::whatsapp::{
    Pace, PayloadOptions, Payloads, Report, Retry, Sender, SenderOptions, Supply, Target,
};
use simulate::{Journeys, Summary};
use tempfile::TempDir;

use crate::disk::Image;
use crate::gateway::{APP_SECRET, CRM_SECRET, Memory, Server};
use crate::table::{Table, ms, say, spread};

/// Keep-alive connections of the load generator.
const CONNECTIONS: u32 = 32;
/// Webhooks are made and signed beforehand, so many for each second of a closed loop: more than
/// any server here answers.
const PREPARED_PER_SECOND: usize = 40_000;
/// The measured part begins when connections are open and contacts are known.
const WARM_UP_SECONDS: f64 = 1.0;
const WARM_UP_RATE: f64 = 500.0;
/// How long the CRM may take for what a closed loop has piled up.
const DRAINED_WITHIN: Duration = Duration::from_secs(180);
/// One fold of the intake log by number (8,192 records) and a little more, so that a checkpoint is
/// in the bytes.
const FOLD_RECORDS: f64 = 8_300.0;

/// What is measured, and how long.
#[derive(Debug)]
pub(crate) struct Plan {
    folder: PathBuf,
    rounds: u32,
    paced: Duration,
    saturated: Duration,
    /// Of the phase that counts bytes at a low rate.
    wear: Duration,
    wear_rate: f64,
}

impl Plan {
    pub(crate) fn full(folder: PathBuf, rounds: u32, paced: Duration) -> Self {
        let wear_rate = 200.0;
        let wear = Duration::from_secs_f64(FOLD_RECORDS / wear_rate);
        Self { folder, rounds, paced, saturated: paced / 2, wear, wear_rate }
    }

    pub(crate) fn smoke(folder: PathBuf) -> Self {
        let second = Duration::from_secs(1);
        Self { folder, rounds: 1, paced: second, saturated: second / 2, wear: second, wear_rate: 200.0 }
    }
}

/// What came of one phase.
#[derive(Debug)]
struct Measured {
    acked_per_second: f64,
    /// From the first webhook to the last record's arrival.
    delivered_per_second: f64,
    ack: Summary,
    crm: Summary,
    cpu_per_10k: f64,
    idle: Memory,
    loaded: Memory,
    bytes_each: f64,
    folds: u64,
    webhooks_per_group: f64,
}

/// Measures and prints.
pub(crate) fn measure(plan: &Plan) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut slow = Vec::new();
    let mut fast = Vec::new();
    let mut full = Vec::new();
    for round in 1..=plan.rounds {
        for (phases, pace, time) in [
            (&mut slow, Pace::PerSecond(200.0), plan.paced),
            (&mut fast, Pace::PerSecond(1_000.0), plan.paced),
            (&mut full, Pace::Saturate, plan.saturated),
        ] {
            say(&format!("round {round} of {}: {pace:?} for {time:?}", plan.rounds));
            phases.push(runtime.block_on(phase(&plan.folder, pace, time, true, None))?);
        }
    }
    print_times(&[("200/s", &slow), ("1,000/s", &fast), ("saturated", &full)])?;
    print_machine(&full)?;

    let image = match Image::new(&plan.folder) {
        Ok(image) => Some(image),
        Err(error) => {
            say(&format!("no image of its own, so the program's own counter is told: {error:#}"));
            None
        }
    };
    let mut table = Table::new(&["bytes", "counted by", "webhooks per group", "folds", "B per webhook"]);
    for (name, pace, time) in
        [("200/s", Pace::PerSecond(plan.wear_rate), plan.wear), ("saturated", Pace::Saturate, plan.saturated)]
    {
        say(&format!("bytes: {name} for {time:?}"));
        let folder = image.as_ref().map_or_else(|| plan.folder.clone(), Image::root);
        let measured = runtime.block_on(phase(&folder, pace, time, false, image.as_ref()))?;
        table.row(&[
            name.to_owned(),
            image.as_ref().map_or("program", |_| "device").to_owned(),
            format!("{:.1}", measured.webhooks_per_group),
            measured.folds.to_string(),
            format!("{:.0}", measured.bytes_each),
        ]);
    }
    table.print()?;
    Ok(())
}

fn print_times(rows: &[(&str, &Vec<Measured>)]) -> anyhow::Result<()> {
    let mut table = Table::new(&[
        "32 TLS connections",
        "acked/s",
        "ack p50 ms",
        "ack p99 ms",
        "webhook to CRM p50 ms",
        "p99 ms",
        "CPU s per 10,000",
    ]);
    for (name, phases) in rows {
        let cell = |value: fn(&Measured) -> f64, decimals| spread(phases.iter().map(value), decimals);
        table.row(&[
            (*name).to_owned(),
            cell(|phase| phase.acked_per_second, 0),
            cell(|phase| ms(phase.ack.p50), 2),
            cell(|phase| ms(phase.ack.p99), 2),
            cell(|phase| ms(phase.crm.p50), 2),
            cell(|phase| ms(phase.crm.p99), 1),
            cell(|phase| phase.cpu_per_10k, 2),
        ]);
    }
    table.print()?;
    Ok(())
}

fn print_machine(full: &[Measured]) -> anyhow::Result<()> {
    let cell = |value: fn(&Measured) -> f64, decimals| spread(full.iter().map(value), decimals);
    let mut table = Table::new(&["saturated", ""]);
    for (name, value) in [
        ("records/s to the CRM, until it has all", cell(|phase| phase.delivered_per_second, 0)),
        ("webhooks per group commit", cell(|phase| phase.webhooks_per_group, 1)),
        ("RSS idle, MiB", cell(|phase| phase.idle.resident, 1)),
        ("RSS at the end of the load, MiB", cell(|phase| phase.loaded.resident, 1)),
        ("RSS peak, MiB", cell(|phase| phase.loaded.peak, 1)),
    ] {
        table.row(&[name.to_owned(), value]);
    }
    table.print()?;
    Ok(())
}

/// One phase with an empty store, at one pace.
async fn phase(
    folder: &Path,
    pace: Pace,
    time: Duration,
    warm_up: bool,
    image: Option<&Image>,
) -> anyhow::Result<Measured> {
    let folder = TempDir::new_in(folder)?;
    let journeys = Arc::new(Journeys::default());
    let crm = Crm::start(CrmOptions {
        signing_secrets: vec![SigningSecret::parse(CRM_SECRET)?],
        keep: Keep::Counters,
        journeys: Some(Arc::clone(&journeys)),
        ..CrmOptions::new(([127, 0, 0, 1], 0).into())
    })?;
    let server = Server::wagate(folder.path(), &crm.url())?;
    let idle = server.memory()?;
    let mut expected = 0;
    if warm_up {
        let (pace, time) = (Pace::PerSecond(WARM_UP_RATE), Duration::from_secs_f64(WARM_UP_SECONDS));
        let report = load(&server, pace, time, 2, None).await?;
        expected += report.acked_items;
        drained(&crm, expected).await?;
    }
    let bytes = |server: &Server| match image {
        Some(image) => image.written(),
        None => server.counter("wagate_store_written_bytes"),
    };
    let (bytes_before, cpu_before) = (bytes(&server)?, server.cpu_seconds()?);
    let counters = |server: &Server| {
        anyhow::Ok((server.counter("wagate_store_folds")?, server.counter("wagate_store_groups")?))
    };
    let (folds_before, groups_before) = counters(&server)?;
    let start = Instant::now();
    let report = load(&server, pace, time, 1, Some(&journeys)).await?;
    let loaded = server.memory()?;
    expected += report.acked_items;
    drained(&crm, expected).await?;
    let all_there = start.elapsed();
    let cpu = server.cpu_seconds()? - cpu_before;
    let written = bytes(&server)? - bytes_before;
    let (folds, groups) = counters(&server)?;
    server.stop()?;
    judge(&crm, expected)?;
    let acked = report.acked as f64;
    Ok(Measured {
        acked_per_second: report.acked_per_second(),
        delivered_per_second: report.acked_items as f64 / all_there.as_secs_f64(),
        ack: report.latency.summary(),
        crm: journeys.summary(),
        cpu_per_10k: cpu / acked * 10_000.0,
        idle,
        loaded,
        bytes_each: written as f64 / acked,
        folds: folds - folds_before,
        webhooks_per_group: acked / (groups - groups_before).max(1) as f64,
    })
}

async fn load(
    server: &Server,
    pace: Pace,
    time: Duration,
    seed: u64,
    journeys: Option<&Arc<Journeys>>,
) -> anyhow::Result<Report> {
    let sender = Sender::new(SenderOptions {
        pace,
        retry: Retry::Never,
        ..SenderOptions::new(Target::parse(server.url())?)
    });
    let sender = match journeys {
        Some(journeys) => sender.with_journeys(Arc::clone(journeys)),
        None => sender,
    };
    let secret = AppSecret::new(APP_SECRET.as_bytes());
    let webhooks = match pace {
        Pace::Saturate => time.as_secs_f64() * PREPARED_PER_SECOND as f64,
        // One more each: the stop is what ends the run.
        Pace::PerSecond(rate) => time.as_secs_f64() * rate + f64::from(CONNECTIONS),
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some hundred thousand")]
    let each = (webhooks / f64::from(CONNECTIONS)).ceil() as usize;
    let options = PayloadOptions { seed, ..PayloadOptions::default() };
    let supplies =
        Payloads::lanes(&options, CONNECTIONS).into_iter().map(|lane| Supply::prepared(lane, &secret, each));
    let supplies: Vec<Supply> = supplies.collect();
    let stop = sender.stopper();
    let timer = tokio::spawn(async move {
        tokio::time::sleep(time).await;
        stop.stop();
    });
    let report = sender.run(supplies).await;
    timer.abort();
    anyhow::ensure!(report.acked > 0, "nothing was acknowledged: {report:?}");
    anyhow::ensure!(report.is_complete(), "not everything was acknowledged: {:?}", report.refused);
    Ok(report)
}

/// Waits until the CRM has everything.
async fn drained(crm: &Crm, records: u64) -> anyhow::Result<()> {
    let deadline = Instant::now() + DRAINED_WITHIN;
    while crm.totals().records < records {
        anyhow::ensure!(Instant::now() < deadline, "the CRM has {:?} of {records} records", crm.totals());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

/// A run that lost, doubled or mixed up something has no figures.
fn judge(crm: &Crm, records: u64) -> anyhow::Result<()> {
    let totals = crm.totals();
    anyhow::ensure!(totals.records == records, "{records} acknowledged, and the CRM has {totals:?}");
    anyhow::ensure!(totals.taken == records, "the CRM was given records twice: {totals:?}");
    anyhow::ensure!(crm.look(simulate::crm::Observed::is_clean), "wrong: {:?}", crm.complaints());
    Ok(())
}
