//! The running program.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::log::Log;
use super::{Api, Site, program, within};

/// A start that takes longer has failed, however busy the machine.
const START_MAX: Duration = Duration::from_secs(20);

/// One process of the program. Dropping it kills it, and looks through what it has said.
pub(crate) struct Appliance {
    child: Child,
    pub(crate) log: Log,
    pub(crate) api: Api,
    /// From the spawning of the process to the first 200 of `/readyz`.
    pub(crate) ready_after: Duration,
    spawned: Instant,
    /// What must not be in the log: texts and names that were sent.
    pub(crate) secret_words: BTreeSet<String>,
    /// The `phone_number_id`s of the store.
    numbers: Vec<String>,
}

impl Appliance {
    /// Writes the configuration and starts the program; returns when it is ready.
    pub(crate) async fn start(site: &Site) -> Self {
        site.write_config();
        Self::start_as_is(site).await
    }

    /// The same with whatever is in the configuration file.
    pub(crate) async fn start_as_is(site: &Site) -> Self {
        let mut appliance = Self::spawn(site);
        appliance.ready().await;
        appliance
    }

    /// Starts the program without waiting for anything.
    pub(crate) fn spawn(site: &Site) -> Self {
        let program = program();
        let spawned = Instant::now();
        let mut command = match site.starter.split_first() {
            Some((starter, arguments)) => {
                let mut command = Command::new(starter);
                command.args(arguments).arg(program);
                command
            }
            None => Command::new(program),
        };
        let mut child = command
            .args(["run", "--config"])
            .arg(site.config())
            .envs(site.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Log::read(child.stderr.take().unwrap());
        Self {
            child,
            log,
            api: Api::new(site.api_url()),
            ready_after: Duration::ZERO,
            spawned,
            secret_words: BTreeSet::new(),
            numbers: site.numbers.iter().map(|(id, _)| id.clone()).collect(),
        }
    }

    async fn ready(&mut self) {
        let api = self.api.clone();
        let child = &mut self.child;
        within(START_MAX, "the program gets ready", async || {
            let left = child.try_wait().unwrap();
            assert!(left.is_none(), "the program has left with {left:?}");
            let answer = api.ask(reqwest::Method::GET, "/readyz").await.ok()?;
            (answer.status() == 200).then_some(())
        })
        .await;
        self.ready_after = self.spawned.elapsed();
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Pulls the plug.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for the program to leave by itself.
    pub(crate) async fn exit(&mut self, patience: Duration) -> ExitStatus {
        let child = &mut self.child;
        let status = within(patience, "the program leaves", async || child.try_wait().unwrap()).await;
        self.log.finish();
        status
    }

    /// Asks the program to leave, and holds it to the contract's 10 s and status 0.
    pub(crate) async fn stop(mut self) -> Duration {
        let start = Instant::now();
        self.signal(Signal::TERM);
        let status = self.exit(Duration::from_secs(11)).await;
        assert_eq!(status.code(), Some(0), "after SIGTERM");
        start.elapsed()
    }

    /// A line of `/proc/PID/status` in bytes, such as `VmRSS` or `VmHWM`.
    pub(crate) fn memory(&self, name: &str) -> u64 {
        let path = PathBuf::from(format!("/proc/{}/status", self.pid()));
        let text = std::fs::read_to_string(path).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        // It may have left already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            self.log.show();
            return;
        }
        self.log.finish();
        self.log.assert_discreet(&self.secret_words, &self.numbers);
    }
}
