//! Does what the chain decides.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use board::{Code, Watchdog, paths};

use super::Happening;
use super::chain::{Action, BEAT_WITHIN, Chain, Child, Ended, Event, Found, Goal, Shown};
use super::data::Data;
use super::first_boot::claim;
use super::keeper::Desk;
use super::keeping::Keeping;
use super::lamp::Lamp;
use super::log::tail::Tails;
use super::log::{Log, STATE};
use super::network::Net;
use super::place::{Place, WAGATE};
use super::process::{Process, Spec, Starter};
use super::{clock, invitation, leaving, wishes};

/// Between two ticks: the watchdog of any board waits ten times as long.
const TICK: Duration = Duration::from_secs(1);
/// Between two looks at the data partition.
const LOOK_AT_DATA: Duration = Duration::from_secs(30);
/// How often the slots are asked for again while somebody else changes them.
const BUSY_TRIES: u32 = 20;
/// How long what is to be kept may take on the way down.
const KEPT_WITHIN: Duration = Duration::from_secs(2);

/// Everything that the thread which decides has at hand.
pub(super) struct Running {
    pub(super) place: Place,
    pub(super) program: PathBuf,
    pub(super) log: Log,
    pub(super) starter: Starter,
    pub(super) desk: Arc<Desk>,
    pub(super) box_id: String,
    pub(super) net: Net,
    pub(super) lamp: Lamp,
    pub(super) tails: Tails,
    pub(super) keeping: Keeping,
    pub(super) calendar: clock::Calendar,
    pub(super) data: Data,
    pub(super) looked: Instant,
    pub(super) watchdog: Option<Box<dyn Watchdog>>,
    pub(super) chain: Chain,
    pub(super) child: Option<Process>,
    pub(super) shown: Shown,
    pub(super) told: SyncSender<Happening>,
    pub(super) since: Instant,
    pub(super) fed_in_vain: bool,
}

impl Running {
    /// Until everything is stopped.
    pub(super) fn run(&mut self, happenings: &Receiver<Happening>) -> Goal {
        loop {
            let mut goal = None;
            match happenings.recv_timeout(TICK) {
                Ok(first) => {
                    goal = goal.or(self.happened(first));
                    // What has come in is older than the time that it is now.
                    while let Ok(next) = happenings.try_recv() {
                        goal = goal.or(self.happened(next));
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            goal = goal.or(self.look_at_data()).or(self.event(Event::Tick));
            self.feed();
            if self.calendar.is_due(Instant::now()) {
                self.keep_the_time();
            }
            self.lamp.show(self.shown, self.desk.is_installing());
            if let Some(goal) = goal {
                return goal;
            }
        }
    }

    fn happened(&mut self, happening: Happening) -> Option<Goal> {
        let of_child = |pid: u32| self.child.as_ref().is_some_and(|child| child.pid() == pid);
        match happening {
            Happening::Event(event) => {
                if event == Event::Found(Found::Configuration) {
                    invitation::end(&self.place);
                    self.net.want(wishes::wanted(&self.place, &self.box_id));
                }
                self.event(event)
            }
            Happening::Ended(pid, ended) if of_child(pid) => {
                self.child = None;
                match ended {
                    Ended::Status(status) => {
                        tracing::info!(target: STATE, status, "the process {pid} has ended");
                    }
                    Ended::Signal(signal) => {
                        tracing::info!(target: STATE, signal, "the process {pid} was ended");
                    }
                }
                self.event(Event::Ended(ended))
            }
            Happening::Said(pid, words) if of_child(pid) => {
                words.into_iter().fold(None, |goal, word| goal.or(self.event(Event::Said(word))))
            }
            Happening::Ended(..) | Happening::Said(..) => None,
        }
    }

    fn event(&mut self, event: Event) -> Option<Goal> {
        let actions = self.chain.on(self.since.elapsed(), event);
        actions.into_iter().fold(None, |goal, action| goal.or(self.act(action)))
    }

    /// An update that is being written may be what mends it, and isn't cut short.
    fn look_at_data(&mut self) -> Option<Goal> {
        if self.looked.elapsed() < LOOK_AT_DATA {
            return None;
        }
        self.looked = Instant::now();
        (self.data.is_lost() && !self.desk.is_installing()).then(|| self.event(Event::DataLost)).flatten()
    }

    fn act(&mut self, action: Action) -> Option<Goal> {
        match action {
            Action::Start(child) => return self.start(child),
            Action::Terminate => self.child.iter().for_each(Process::terminate),
            Action::Kill => {
                tracing::warn!(
                    "the process {} doesn't answer and is killed",
                    self.child.as_ref().map_or(0, Process::pid)
                );
                self.child.iter().for_each(Process::kill);
            }
            Action::SearchNoMore => {
                tracing::error!(
                    "the search for a configuration doesn't end; the one that was in force is used"
                );
                let found = there_is(&self.place);
                return self.event(Event::Found(found));
            }
            Action::GiveUp(why) => return self.give_up(why),
            Action::Remember(why) => self.tails.write(why, &self.log, Instant::now(), false),
            Action::Show(shown) => self.show(shown),
            Action::Go(goal) => return Some(goal),
        }
        None
    }

    fn start(&mut self, child: Child) -> Option<Goal> {
        let spec = spec(child, &self.place, &self.program);
        let told = self.told.clone();
        let over = move |pid, ended| drop(told.send(Happening::Ended(pid, ended)));
        match self.starter.start(&spec, over) {
            Ok(process) => {
                tracing::info!(target: STATE, "{} starts as process {}", spec.name, process.pid());
                self.child = Some(process);
                None
            }
            Err(error) => {
                tracing::error!(%error, "{} can't be started", spec.name);
                self.event(Event::NotStarted)
            }
        }
    }

    /// The answer comes when the disk does.
    fn give_up(&mut self, why: &'static str) -> Option<Goal> {
        tracing::error!("this version is given up: {why}");
        self.tails.write(why, &self.log, Instant::now(), true);
        let (desk, told) = (Arc::clone(&self.desk), self.told.clone());
        let asked = std::thread::Builder::new().name("give up".into());
        let asked = asked.spawn(move || drop(told.send(Happening::Event(given_up(&desk)))));
        match asked {
            Ok(_) => None,
            Err(error) => {
                tracing::error!("it can't be given up: {error}");
                self.event(Event::CannotGiveUp)
            }
        }
    }

    fn show(&mut self, shown: Shown) {
        self.shown = shown;
        match shown {
            Shown::Running => {
                tracing::info!(target: STATE, "the gateway runs");
                let desk = Arc::clone(&self.desk);
                let forget = std::thread::Builder::new().name("ready".into());
                let _ = forget.spawn(move || desk.gateway_is_ready());
            }
            Shown::Starting => tracing::info!(target: STATE, "starting"),
            Shown::Setup => tracing::info!(target: STATE, "there is no configuration: the setup page waits"),
            Shown::Refused => {
                tracing::error!("the gateway refuses its configuration; what is wrong stands above");
            }
            Shown::NoData => {
                let why = std::fs::read_to_string(self.place.no_data()).unwrap_or_default();
                tracing::error!("the data partition can't be used, so nothing can be kept: {}", why.trim());
            }
            Shown::Failing => tracing::error!("the gateway fails; it is started again and again"),
            Shown::GivingUp => tracing::error!("this version is on trial and has failed"),
            Shown::Stopping => tracing::info!(target: STATE, "stopping"),
        }
    }

    fn feed(&mut self) {
        if !self.chain.feeds() {
            return;
        }
        if let Some(watchdog) = &mut self.watchdog
            && let Err(error) = watchdog.feed()
            && !std::mem::replace(&mut self.fed_in_vain, true)
        {
            tracing::error!("the watchdog can't be fed: {error}");
        }
    }

    fn keep_the_time(&self) {
        if self.place.real() {
            let kept = self.place.at(paths::BOX);
            self.keeping.later(move || clock::save(&kept));
        }
    }

    /// Everything is stopped: keeps what has to be kept. Returns when this process may end.
    pub(super) fn leave(mut self, goal: Goal) {
        self.net.stop();
        self.keep_the_time();
        if goal == Goal::Reboot {
            self.tails.write("the machine starts anew", &self.log, Instant::now(), true);
        }
        if !self.keeping.wait(KEPT_WITHIN) {
            tracing::warn!("time and log aren't kept: the disk doesn't answer");
        }
        if goal == Goal::End || !self.place.real() {
            return;
        }
        let place = self.place.clone();
        leaving::reboot(&place, || self.feed());
        loop {
            std::thread::park();
        }
    }
}

/// Gives the running version up, however long that takes.
fn given_up(desk: &Desk) -> Event {
    for _ in 0..BUSY_TRIES {
        match desk.give_up() {
            Ok(true) => return Event::GivenUp,
            Ok(false) => return Event::Committed,
            Err(error) if error.code == Code::Busy => std::thread::sleep(TICK),
            Err(error) => {
                tracing::error!("it can't be given up: {error}");
                let alone = matches!(error.code, Code::NothingThere | Code::Unsupported);
                return if alone { Event::Stays } else { Event::CannotGiveUp };
            }
        }
    }
    tracing::error!("it can't be given up now: somebody else changes the slots");
    Event::CannotGiveUp
}

/// What there is to run with, without a search.
pub(super) fn there_is(place: &Place) -> Found {
    if place.no_data().exists() {
        Found::NoData
    } else if place.configuration().exists() {
        Found::Configuration
    } else {
        Found::Nothing
    }
}

/// How a child is started.
fn spec(child: Child, place: &Place, program: &std::path::Path) -> Spec {
    let mut env: Vec<(&'static str, OsString)> = vec![
        ("PATH", "/bin:/sbin".into()),
        ("HOME", place.at(paths::STORE).into()),
        (paths::SOCKET_ENV, place.board_socket().into()),
    ];
    env.extend(
        std::env::var_os(crate::telemetry::LEVEL_VARIABLE)
            .map(|level| (crate::telemetry::LEVEL_VARIABLE, level)),
    );
    if place.real() {
        env.push(("WAGATE_CONFINE", "1".into()));
    }
    let (name, args): (_, Vec<OsString>) = match child {
        Child::Gateway => {
            env.push((board::notify::SOCKET_ENV, place.notify_socket().into()));
            env.push((board::notify::WATCHDOG_ENV, BEAT_WITHIN.as_micros().to_string().into()));
            ("gateway", vec!["run".into(), "--config".into(), place.configuration().into()])
        }
        Child::Setup => {
            let tls = place.at(paths::BOX).join(claim::TLS);
            let mut args: Vec<OsString> = ["machine", "setup", "--run"].map(OsString::from).into();
            args.extend([place.run().into(), "--tls".into(), tls.into()]);
            if !place.real() {
                // Whichever are free: the log says which.
                args.extend(["--https", "0", "--http", "0"].map(OsString::from));
            }
            ("setup", args)
        }
    };
    let user = place.real().then_some(WAGATE);
    Spec { name: name.to_owned(), program: program.to_owned(), args, env, user }
}
