//! The servers under test, as child processes: the gateway, and the peer that stands beside it.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::cleanup::{Kept, forget, keep};
use crate::load::{Connection, tls_config};

/// What webhooks are signed with.
pub(crate) const APP_SECRET: &str = "the app secret of the benchmark";
/// What deliveries are signed with.
pub(crate) const CRM_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
pub(crate) const API_TOKEN: &str = "token-of-the-benchmark";
/// The store's number: the one that the simulated WhatsApp has.
pub(crate) const NUMBER: &str = "106540352242922";
/// `/proc/PID/stat` counts time in these on every Linux (`getconf CLK_TCK`).
const TICKS_PER_SECOND: f64 = 100.0;
/// A start zero-fills the log, which takes its time on a slow disk.
const READY_WITHIN: Duration = Duration::from_secs(60);
const STOPPED_WITHIN: Duration = Duration::from_secs(30);
/// How often a starting server is asked.
const GLANCE: Duration = Duration::from_millis(2);

/// Which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Wagate,
    /// fastify and better-sqlite3, one transaction per turn of the event loop: `tests/bench/peer`.
    Peer,
}

/// What is needed to start them.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    pub(crate) gateway: PathBuf,
    /// `server.mjs` with its packages and its certificate; `None` where the peer isn't wanted.
    pub(crate) peer: Option<PathBuf>,
}

/// How the gateway is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Setup {
    /// Webhooks come over TLS.
    pub(crate) tls: bool,
    /// Where its messages go.
    pub(crate) graph: Option<SocketAddr>,
    pub(crate) messages_per_day: u64,
}

impl Setup {
    /// It takes webhooks and sends nothing.
    pub(crate) const INTAKE: Self = Self { tls: true, graph: None, messages_per_day: 1_000 };
}

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Server {
    kind: Kind,
    child: Child,
    address: SocketAddr,
    api: SocketAddr,
}

/// What the server takes of the machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// MiB that are resident now.
    pub(crate) resident: f64,
    /// The most that ever were.
    pub(crate) peak: f64,
}

impl Server {
    /// Starts it with its store in `folder` and delivery to `crm`; returns when it answers. `preload`
    /// is a library that is put between it and the C library.
    pub(crate) fn start(
        programs: &Programs,
        kind: Kind,
        folder: &Path,
        crm: &str,
        preload: Option<&Path>,
    ) -> anyhow::Result<Self> {
        Self::spawn(programs, kind, folder, crm, preload, &Setup::INTAKE)?.when_ready(folder)
    }

    /// Starts the gateway in a way of its own; returns when it answers.
    pub(crate) fn start_as(
        programs: &Programs,
        folder: &Path,
        crm: &str,
        setup: &Setup,
        preload: Option<&Path>,
    ) -> anyhow::Result<Self> {
        Self::spawn(programs, Kind::Wagate, folder, crm, preload, setup)?.when_ready(folder)
    }

    fn when_ready(mut self, folder: &Path) -> anyhow::Result<Self> {
        let deadline = Instant::now() + READY_WITHIN;
        while !self.is_ready() {
            self.check(folder, deadline)?;
            std::thread::sleep(GLANCE);
        }
        Ok(self)
    }

    /// Starts it; returns when a webhook got its 200, and after what time.
    pub(crate) fn start_for(
        programs: &Programs,
        kind: Kind,
        folder: &Path,
        crm: &str,
        request: &[u8],
    ) -> anyhow::Result<(Self, Duration)> {
        let config = tls_config()?;
        let start = Instant::now();
        let mut server = Self::spawn(programs, kind, folder, crm, None, &Setup::INTAKE)?;
        loop {
            let answer = Connection::open(server.address, Some(&config))
                .and_then(|mut connection| Ok(connection.ask(request)?));
            if matches!(answer, Ok(200)) {
                return Ok((server, start.elapsed()));
            }
            server.check(folder, start + READY_WITHIN)?;
            std::thread::sleep(GLANCE);
        }
    }

    fn spawn(
        programs: &Programs,
        kind: Kind,
        folder: &Path,
        crm: &str,
        preload: Option<&Path>,
        setup: &Setup,
    ) -> anyhow::Result<Self> {
        let (address, api) = (free_address()?, free_address()?);
        let log = File::create(folder.join("server.log"))?;
        let mut command = match kind {
            Kind::Wagate => {
                let configuration = folder.join("wagate.toml");
                fs::write(&configuration, configured(folder, address, api, crm, setup))?;
                let mut command = Command::new(&programs.gateway);
                command.args(["run", "--config"]).arg(&configuration);
                command
            }
            Kind::Peer => {
                let peer = programs.peer.as_ref().context("there is no peer here")?;
                let mut command = Command::new("node");
                command.arg(peer.join("server.mjs")).env("NODE_ENV", "production");
                command.env("LISTEN_PORT", address.port().to_string()).env("APP_SECRET", APP_SECRET);
                command.env("CRM_URL", crm).env("STORE", folder.join("store")).env("CERTIFICATES", peer);
                command
            }
        };
        if let Some(library) = preload {
            command.env("LD_PRELOAD", library);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = keep(|| {
            let child = command.spawn().with_context(|| format!("{kind:?} can't be started"))?;
            let id = child.id();
            Ok((child, Kept::Process(id)))
        })?;
        Ok(Self { kind, child, address, api })
    }

    fn is_ready(&self) -> bool {
        match self.kind {
            Kind::Wagate => self.get("/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")),
            Kind::Peer => tls_config().is_ok_and(|config| {
                let answer = Connection::open(self.address, Some(&config)).and_then(|mut connection| {
                    Ok(connection.ask(b"GET /healthz HTTP/1.1\r\nhost: bench\r\n\r\n")?)
                });
                matches!(answer, Ok(200))
            }),
        }
    }

    /// Fails when it has ended, or when it is too late.
    fn check(&mut self, folder: &Path, deadline: Instant) -> anyhow::Result<()> {
        let ended = self.child.try_wait()?;
        if ended.is_some() || Instant::now() > deadline {
            let log = fs::read_to_string(folder.join("server.log"))?;
            anyhow::bail!("{:?} didn't come up ({ended:?}):\n{log}", self.kind);
        }
        Ok(())
    }

    /// Where webhooks go, over TLS.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where messages are queued, over plain HTTP.
    pub(crate) const fn api(&self) -> SocketAddr {
        self.api
    }

    /// Seconds of processor time so far, the kernel's part included.
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        cpu_seconds(&self.child.id().to_string())
    }

    pub(crate) fn memory(&self) -> anyhow::Result<Memory> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let mib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).context("/proc/PID/status")?;
            let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
            anyhow::Ok(kib / 1024.0)
        };
        Ok(Memory { resident: mib("VmRSS:")?, peak: mib("VmHWM:")? })
    }

    /// Sums a counter of the gateway over its labels; the peer has none.
    pub(crate) fn counter(&self, name: &str) -> anyhow::Result<u64> {
        if self.kind == Kind::Peer {
            return Ok(0);
        }
        let answer = self.get("/metrics")?;
        let samples = answer.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?.strip_prefix("_total")?;
            rest.starts_with([' ', '{']).then(|| rest.rsplit(' ').next()?.parse::<u64>().ok())?
        });
        Ok(samples.sum())
    }

    /// Drains and ends it.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        let deadline = Instant::now() + STOPPED_WITHIN;
        loop {
            match self.child.try_wait()? {
                Some(status) => {
                    anyhow::ensure!(status.success(), "{:?} ended with {status}", self.kind);
                    return Ok(());
                }
                None if Instant::now() > deadline => anyhow::bail!("{:?} doesn't end", self.kind),
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    /// Ends it as a power cut would end the program: SIGKILL.
    pub(crate) fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// What the gateway's API answers, head and all.
    pub(crate) fn get(&self, path: &str) -> anyhow::Result<String> {
        get(self.api, path)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        forget(&Kept::Process(self.child.id()));
    }
}

/// What is answered over a connection of its own, head and all.
pub(crate) fn get(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {API_TOKEN}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Processor time of a process or a thread (`PID`, `self`, `self/task/TID`).
pub(crate) fn cpu_seconds(process: &str) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name may hold spaces; it ends with the last bracket. Behind it utime and stime are the
    // 12th and 13th field (proc_pid_stat(5)).
    let (_, fields) = stat.rsplit_once(')').context("/proc/PID/stat")?;
    let ticks = |place| fields.split_whitespace().nth(place).and_then(|ticks| ticks.parse::<f64>().ok());
    let (user, system) = ticks(11).zip(ticks(12)).context("/proc/PID/stat")?;
    Ok((user + system) / TICKS_PER_SECOND)
}

fn configured(folder: &Path, webhook: SocketAddr, api: SocketAddr, crm: &str, setup: &Setup) -> String {
    let store = folder.join("store");
    let tls = if setup.tls { "self_signed" } else { "off" };
    let messages_per_day = setup.messages_per_day;
    let graph = setup.graph.map_or_else(String::new, |graph| {
        format!("[[whatsapp.endpoints]]\nurl = \"http://{graph}/v24.0\"\ntoken = \"{API_TOKEN}\"\n")
    });
    format!(
        r#"
[store]
path = {store:?}
[webhook]
listen = "{webhook}"
verify_token = "benchmark"
app_secret = "{APP_SECRET}"
[webhook.tls]
{tls} = true
[api]
listen = "{api}"
token = "{API_TOKEN}"
[[numbers]]
phone_number_id = "{NUMBER}"
phone = "+15550783881"
[numbers.limits]
messages_per_day = {messages_per_day}
api_calls_per_day = 1000000
{graph}[crm]
signing_secret = "{CRM_SECRET}"
[[crm.endpoints]]
name = "primary"
url = "{crm}"
"#
    )
}

/// A port that was free a moment ago; a server must be told one.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
