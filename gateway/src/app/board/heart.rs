//! The heartbeat: a watchdog is fed for as long as the store's writer answers in time.
//!
//! Nothing else counts: neither the CRM nor Meta, nor a full disk, which is an answer. What a restart can't mend
//! must not bring one about.

use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use board::Watchdog;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

use super::probe::{Pinged, Probe};

/// A watchdog is fed so often in its time, as sd_watchdog_enabled(3) and common sense have it: one beat may be lost.
const BEATS: u32 = 3;
/// How often the writer is asked where no watchdog waits for it, for the metric's sake.
const UNWATCHED: Duration = Duration::from_secs(30);

/// For so long the watchdog is fed while the gateway starts: an index that has to be repaired is read from end to end.
const OPENING_MAX: Duration = Duration::from_secs(3600);
/// Of the processor's time, from beat to beat: whoever uses less waits for a disk that hangs, or for himself.
const WORK: Duration = Duration::from_millis(10);

/// What is to be seen of the heartbeat.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Metrics {
    seconds: Gauge<f64, AtomicU64>,
    beats: Counter,
}

impl Metrics {
    pub(in super::super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "wagate_writer_probe_seconds",
            "What the store's writer took for its last sign of life, or has taken so far",
            self.seconds.clone(),
        );
        registry.register(
            "wagate_watchdog_beats",
            "Beats that the watchdog over the process was given",
            self.beats.clone(),
        );
    }
}

/// The heartbeat before there is a writer to be asked: a thread feeds the watchdog for as long as the start has this
/// process work, for [`OPENING_MAX`] at most. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Opening {
    _stop: Option<SyncSender<()>>,
}

impl Opening {
    /// Begins to feed `watchdog`, if there is one.
    pub(crate) fn begin(watchdog: Option<impl Watchdog + 'static>) -> Self {
        let Some(mut watchdog) = watchdog else { return Self { _stop: None } };
        let every = watchdog.timeout() / BEATS;
        let (stop, stopped) = sync_channel(0);
        let pause = move || stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout);
        let started = std::thread::Builder::new().name("opening".into());
        let started = started.spawn(move || feed_while_it_works(&mut watchdog, pause, worked));
        if let Err(error) = started {
            tracing::error!(%error, "the watchdog isn't fed until the gateway is up");
        }
        Self { _stop: Some(stop) }
    }
}

/// The processor's time that this process has used.
fn worked() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

/// Feeds `watchdog` after each `pause`, until that says no, where `worked` has gone on meanwhile.
fn feed_while_it_works(
    watchdog: &mut impl Watchdog,
    mut pause: impl FnMut() -> bool,
    mut worked: impl FnMut() -> Duration,
) {
    let (every, mut passed) = (watchdog.timeout() / BEATS, Duration::ZERO);
    let (mut before, mut said) = (worked(), Said::default());
    while passed < OPENING_MAX && pause() {
        passed += every;
        let now = worked();
        if now.saturating_sub(before) >= WORK {
            said.watchdog(&watchdog.feed());
        }
        before = now;
    }
}

/// Asks `probe` until `stop`, and feeds `watchdog` when it answers in time.
pub(in super::super) async fn beat<W: Pinged>(
    mut probe: Probe<W>,
    mut watchdog: Option<impl Watchdog>,
    metrics: Metrics,
    stop: impl Future<Output = ()>,
) {
    let every = watchdog.as_ref().map_or(UNWATCHED, |watchdog| watchdog.timeout() / BEATS);
    let mut stop = std::pin::pin!(stop);
    let mut said = Said::default();
    loop {
        let begun = Instant::now();
        let answered = tokio::select! {
            () = &mut stop => return,
            answered = probe.ask(every) => answered,
        };
        metrics.seconds.set(answered.unwrap_or_else(|| probe.waiting()).as_secs_f64());
        said.writer(answered, probe.waiting());
        if answered.is_some()
            && let Some(watchdog) = &mut watchdog
        {
            let fed = watchdog.feed();
            if fed.is_ok() {
                metrics.beats.inc();
            }
            said.watchdog(&fed);
        }
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep_until(begun + every) => {}
        }
    }
}

/// What was said in the log already: a beat that stays away is news once.
#[derive(Debug, Default)]
struct Said {
    hangs: bool,
    unheard: bool,
}

impl Said {
    fn writer(&mut self, answered: Option<Duration>, waiting: Duration) {
        match (answered, self.hangs) {
            (None, false) => tracing::error!(
                seconds = waiting.as_secs(),
                "the store's writer doesn't answer, the disk seems to hang: the watchdog isn't fed until it does"
            ),
            (Some(took), true) => {
                tracing::warn!(seconds = took.as_secs(), "the store's writer answers again");
            }
            (None, true) | (Some(_), false) => {}
        }
        self.hangs = answered.is_none();
    }

    fn watchdog(&mut self, fed: &Result<(), board::BoardError>) {
        match (fed, self.unheard) {
            (Err(error), false) => tracing::error!(%error, "the watchdog can't be fed"),
            (Ok(()), true) => tracing::info!("the watchdog is fed again"),
            (Err(_), true) | (Ok(()), false) => {}
        }
        self.unheard = fed.is_err();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, PoisonError};

    use board::{BoardError, Code};
    use tokio::time::sleep;

    use super::super::probe::tests::{Does, Writer};
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(60);
    const PERIOD: Duration = Duration::from_secs(20);

    /// Notes when it was fed, and refuses where it is deaf. Clones are the same one.
    #[derive(Clone)]
    struct Dog {
        fed: Arc<Mutex<Vec<Instant>>>,
        deaf: bool,
        timeout: Duration,
    }

    impl Dog {
        fn new() -> Self {
            Self { fed: Arc::default(), deaf: false, timeout: TIMEOUT }
        }

        fn fed(&self) -> Vec<Instant> {
            self.fed.lock().unwrap_or_else(PoisonError::into_inner).clone()
        }
    }

    impl Watchdog for Dog {
        fn feed(&mut self) -> Result<(), BoardError> {
            if self.deaf {
                return Err(BoardError::new(Code::Io, "nobody listens"));
            }
            self.fed.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
            Ok(())
        }

        fn timeout(&self) -> Duration {
            self.timeout
        }
    }

    fn start(writer: &Writer, dog: &Dog, metrics: &Metrics) -> tokio::task::JoinHandle<()> {
        let (probe, dog, metrics) = (Probe::new(writer.clone()), dog.clone(), metrics.clone());
        tokio::spawn(beat(probe, Some(dog), metrics, std::future::pending()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_writer_that_answers_is_three_beats_in_the_time_of_the_watchdog() {
        let (writer, dog, metrics) = (Writer::new(Does::Answers), Dog::new(), Metrics::default());
        let began = Instant::now();
        start(&writer, &dog, &metrics);
        sleep(TIMEOUT * 10 - Duration::from_secs(1)).await;
        let expected: Vec<Instant> = (0..30).map(|beat| began + PERIOD * beat).collect();
        assert_eq!(dog.fed(), expected);
        assert_eq!((metrics.beats.get(), metrics.seconds.get()), (30, 0.0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_writer_that_hangs_stops_the_beat_within_a_period_and_its_answer_starts_it_again() {
        let (writer, dog, metrics) = (Writer::new(Does::Answers), Dog::new(), Metrics::default());
        start(&writer, &dog, &metrics);
        sleep(Duration::from_secs(1)).await;
        let hung = Instant::now();
        writer.now(Does::Hangs);
        sleep(TIMEOUT * 5).await;
        let late = dog.fed().into_iter().filter(|beat| *beat > hung).count();
        assert_eq!(late, 0, "not one beat once it hangs");
        assert!(metrics.seconds.get() > 200.0, "what it has taken so far is to be seen");
        writer.now(Does::Answers);
        sleep(Duration::from_millis(1)).await;
        assert_eq!(dog.fed().len(), 2, "a late answer is one, too");
        sleep(PERIOD).await;
        assert_eq!(dog.fed().len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_that_stays_full_is_no_beat() {
        let (writer, dog) = (Writer::new(Does::IsFull), Dog::new());
        start(&writer, &dog, &Metrics::default());
        sleep(TIMEOUT).await;
        assert_eq!(dog.fed().len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_watchdog_that_does_not_listen_is_tried_again_and_the_end_is_heard() {
        let (writer, mut dog, metrics) = (Writer::new(Does::Answers), Dog::new(), Metrics::default());
        dog.deaf = true;
        let beating = start(&writer, &dog, &metrics);
        sleep(TIMEOUT).await;
        assert!(!beating.is_finished());
        assert_eq!(metrics.beats.get(), 0);
        let probe = Probe::new(Writer::new(Does::Hangs));
        beat(probe, Some(dog), metrics, sleep(Duration::from_secs(1))).await;
    }

    #[test]
    fn a_start_is_beaten_for_while_it_works_and_for_an_hour_at_most() {
        let beats = |work: Duration, pauses: u32| {
            let (mut dog, mut left, mut worked) = (Dog::new(), 0..pauses, Duration::ZERO);
            let pause = || left.next().is_some();
            let work = || {
                worked += work;
                worked
            };
            feed_while_it_works(&mut dog, pause, work);
            dog.fed().len()
        };
        assert_eq!(beats(WORK, 9), 9);
        assert_eq!(beats(WORK / 2, 9), 0, "the disk hangs");
        assert_eq!(beats(Duration::from_secs(20), 100_000), 180);
    }

    #[test]
    fn what_works_is_seen_to_and_the_beats_end_with_the_start() {
        let dog = Dog { timeout: Duration::from_millis(90), ..Dog::new() };
        let opening = Opening::begin(Some(dog.clone()));
        while dog.fed().is_empty() {
            std::hint::spin_loop();
        }
        drop(opening);
        while Arc::strong_count(&dog.fed) > 1 {
            std::thread::yield_now();
        }
    }

    /// The store itself: its disk is full, and nothing outside answers, since there is nothing outside.
    #[tokio::test]
    async fn a_full_store_is_no_reason_to_stop_the_beat() {
        let disk = store::testing::SimulatedDisk::new();
        let options = store::Options { max_bytes: 4 << 10, ..store::testing::small() };
        let store = Arc::new(disk.open(options).unwrap());
        let put = |number: u8| {
            let change = store::Change { key: vec![b'k', number], value: Some(vec![0; 1000]) };
            let changes = store::Transaction { changes: vec![change], ..store::Transaction::default() };
            store.transact_and_wait(changes, model::WallTime(0))
        };
        assert!((0..100).any(|number| put(number) == Err(store::Refused::Full)));
        assert!(Probe::new(Arc::clone(&store)).ask(TIMEOUT).await.is_some());
        disk.fill_at(disk.operations(), u64::MAX / 2);
        assert!(Probe::new(Arc::clone(&store)).ask(TIMEOUT).await.is_some());
    }
}
