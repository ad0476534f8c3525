//! The loop around a group: probes are made when they are due, and whoever sends is told at once.

use std::cell::Cell;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use policy::failover::{Answer, Kept, Settings, State};
use tokio::task::JoinHandle;
use tokio::time::{Instant, advance, sleep};
use wagate_egress::{Change, Probes, Watched};

const PATIENCE: Duration = Duration::from_secs(5);

/// What an endpoint does with probes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Probe {
    Answers(Answer),
    Hangs,
    /// There is no unit for it.
    NotNow,
    /// Its unit comes late.
    Waits,
}

struct Player {
    probes: Arc<Mutex<Vec<Probe>>>,
    asked: Arc<Mutex<Vec<(usize, Duration)>>>,
    start: Instant,
}

impl Probes for Player {
    fn permit(&mut self, endpoint: usize) -> impl Future<Output = bool> + Send + 'static {
        self.asked.lock().unwrap().push((endpoint, self.start.elapsed()));
        let how = self.probes.lock().unwrap()[endpoint];
        async move {
            if how == Probe::Waits {
                sleep(Duration::from_secs(4)).await;
            }
            how != Probe::NotNow
        }
    }

    fn probe(&mut self, endpoint: usize) -> impl Future<Output = Answer> + Send + 'static {
        let how = self.probes.lock().unwrap()[endpoint];
        async move {
            match how {
                Probe::Answers(answer) => {
                    sleep(Duration::from_millis(20)).await;
                    answer
                }
                Probe::Waits => Answer::Good,
                Probe::Hangs | Probe::NotNow => pending().await,
            }
        }
    }
}

struct Stage {
    group: Watched,
    probes: Arc<Mutex<Vec<Probe>>>,
    asked: Arc<Mutex<Vec<(usize, Duration)>>>,
    told: Arc<Mutex<Vec<Change>>>,
    start: Instant,
    task: JoinHandle<()>,
}

impl Stage {
    fn new(probes: &[Probe], kept: Option<&Kept>) -> Self {
        let names = ["meta", "backup", "third"].map(str::to_owned);
        let names = names.into_iter().take(probes.len()).collect();
        let group = Watched::new("whatsapp/1".to_owned(), names, Settings::default(), kept);
        let probes = Arc::new(Mutex::new(probes.to_vec()));
        let (asked, told) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<Mutex<Vec<_>>>::default());
        let start = Instant::now();
        let (running, what) = (group.clone(), Arc::clone(&told));
        let player = Player { probes: Arc::clone(&probes), asked: Arc::clone(&asked), start };
        let task = tokio::spawn(async move {
            running.run(PATIENCE, player, |changes| what.lock().unwrap().extend_from_slice(changes)).await;
        });
        Self { group, probes, asked, told, start, task }
    }

    fn now(&self, endpoint: usize, probe: Probe) {
        self.probes.lock().unwrap()[endpoint] = probe;
    }

    fn switches(&self) -> Vec<(String, String, &'static str)> {
        let told = self.told.lock().unwrap();
        let switches = told.iter().filter_map(|change| match change {
            Change::Switched { from, to, reason } => Some((from.clone(), to.clone(), *reason)),
            Change::Stands { .. } => None,
        });
        switches.collect()
    }
}

const FINE: Probe = Probe::Answers(Answer::Good);

#[tokio::test(start_paused = true)]
async fn probes_alone_find_an_outage_and_its_end() {
    let stage = Stage::new(&[FINE, FINE], None);
    let mut standing = stage.group.standing();
    sleep(Duration::from_secs(60)).await;
    stage.now(0, Probe::Hangs);
    let fault = Instant::now();
    standing.wait_for(|standing| standing.active == 1).await.unwrap();
    assert!(fault.elapsed() <= Duration::from_secs(3_600 + 40), "{:?}", fault.elapsed());
    assert_eq!(standing.borrow().go, 1);
    stage.now(0, FINE);
    let mended = Instant::now();
    standing.wait_for(|standing| standing.active == 0).await.unwrap();
    assert!(mended.elapsed() < Duration::from_secs(40), "{:?}", mended.elapsed());
    sleep(Duration::from_millis(1)).await;
    let (meta, backup) = ("meta".to_owned(), "backup".to_owned());
    assert_eq!(stage.switches(), [(meta.clone(), backup.clone(), "slow"), (backup, meta, "recovered")]);
    let views = stage.group.views();
    assert_eq!(views[0].view.state, State::Closed);
    assert_eq!(views[0].view.latency, Some(Duration::from_millis(20)));
    stage.task.abort();
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_sleeps_for_an_hour_notices_a_call_that_is_not_answered() {
    let stage = Stage::new(&[FINE, FINE], None);
    sleep(Duration::from_secs(1_800)).await;
    let probes = stage.asked.lock().unwrap().len();
    let call = stage.group.begin();
    sleep(Duration::from_millis(1_490)).await;
    assert_eq!(stage.group.views()[0].view.strikes, 0);
    sleep(Duration::from_millis(20)).await;
    assert_eq!(stage.group.views()[0].view.strikes, 1);
    // Both are looked at: whether it is the endpoint, and how the other one is.
    sleep(Duration::from_secs(2)).await;
    let asked: Vec<usize> = stage.asked.lock().unwrap()[probes..].iter().map(|(who, _)| *who).collect();
    assert_eq!(asked, [1, 0]);
    call.ended(Answer::Good);
    assert_eq!(stage.group.views()[0].view.strikes, 1, "what comes of it adds nothing");
    stage.task.abort();
}

#[tokio::test(start_paused = true)]
async fn calls_that_fail_switch_at_once_and_a_dropped_one_says_nothing() {
    let stage = Stage::new(&[Probe::NotNow, FINE], None);
    let mut standing = stage.group.standing();
    sleep(Duration::from_secs(1)).await;
    let first = stage.group.begin();
    for _ in 0..3 {
        drop(stage.group.begin());
        stage.group.begin().ended(Answer::Failed);
        advance(Duration::from_millis(600)).await;
    }
    assert!(first.is_left());
    assert_eq!(first.endpoint(), 0);
    assert!(standing.has_changed().unwrap());
    assert_eq!(standing.borrow_and_update().active, 1);
    assert!(!stage.group.begin().is_left());
    assert_eq!(stage.group.kept(), Kept { active: 1, levels: vec![0, 0] });
    stage.task.abort();
}

#[tokio::test(start_paused = true)]
async fn where_there_is_no_other_endpoint_the_end_of_the_outage_is_told() {
    let stage = Stage::new(&[Probe::Answers(Answer::Failed)], None);
    let mut standing = stage.group.standing();
    standing.wait_for(|standing| standing.all_open).await.unwrap();
    assert!(stage.start.elapsed() < Duration::from_secs(30));
    stage.now(0, FINE);
    standing.wait_for(|standing| standing.go == 1).await.unwrap();
    assert!(!standing.borrow().all_open);
    assert!(stage.switches().is_empty());
    stage.task.abort();
}

#[tokio::test(start_paused = true)]
async fn a_run_goes_on_where_the_last_one_ended() {
    let kept = Kept { active: 1, levels: vec![2, 0] };
    let stage = Stage::new(&[FINE, FINE], Some(&kept));
    assert_eq!(stage.group.active(), 1);
    let mut standing = stage.group.standing();
    standing.wait_for(|standing| standing.active == 0).await.unwrap();
    // Twelve good probes: it was left twice soon after it had been gone back to.
    let asked = Cell::new(0);
    for (endpoint, _) in stage.asked.lock().unwrap().iter() {
        asked.set(asked.get() + usize::from(*endpoint == 0));
    }
    assert_eq!(asked.get(), 12);
    stage.task.abort();
}

#[tokio::test(start_paused = true)]
async fn what_a_probe_waits_for_before_it_is_sent_is_no_strike() {
    let stage = Stage::new(&[Probe::Waits], None);
    sleep(Duration::from_secs(5)).await;
    let view = stage.group.views()[0].view;
    assert_eq!((view.state, view.latency), (State::Closed, Some(Duration::ZERO)));
    stage.task.abort();
}
