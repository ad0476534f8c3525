//! The server under test: the release binary as a child process.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// What webhooks are signed with.
pub(crate) const APP_SECRET: &str = "the app secret of the benchmark";
/// What deliveries are signed with.
pub(crate) const CRM_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const API_TOKEN: &str = "token-of-the-benchmark";
/// `/proc/PID/stat` counts time in these on every Linux (`getconf CLK_TCK`).
const TICKS_PER_SECOND: f64 = 100.0;
/// A start zero-fills the log, which takes its time on a slow disk.
const READY_WITHIN: Duration = Duration::from_secs(30);
const STOPPED_WITHIN: Duration = Duration::from_secs(20);

/// A running server. Dropping it kills it. A peer's server (Node, see docs/performance.md) would be
/// another way to make one of these; all that is measured is asked of the process.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    url: String,
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
    /// Starts `wagate run` with its store in `folder` and delivery to `crm`; returns when it answers.
    pub(crate) fn wagate(folder: &Path, crm: &str) -> anyhow::Result<Self> {
        let (webhook, api) = (free_address()?, free_address()?);
        let configuration = folder.join("wagate.toml");
        fs::write(&configuration, configured(folder, webhook, api, crm))?;
        let log = File::create(folder.join("wagate.log"))?;
        let child = Command::new(binary()?)
            .args(["run", "--config"])
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("wagate can't be started")?;
        let mut server = Self { child, url: format!("https://{webhook}/webhook"), api };
        let deadline = Instant::now() + READY_WITHIN;
        while !server.get("/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            let ended = server.child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let log = fs::read_to_string(folder.join("wagate.log"))?;
                anyhow::bail!("wagate didn't come up ({ended:?}):\n{log}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// Where webhooks go.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Seconds of processor time so far, the kernel's part included.
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name may hold spaces; it ends with the last bracket. Behind it utime and stime are
        // the 12th and 13th field (proc_pid_stat(5)).
        let (_, fields) = stat.rsplit_once(')').context("/proc/PID/stat")?;
        let ticks = |place| fields.split_whitespace().nth(place).and_then(|ticks| ticks.parse::<f64>().ok());
        let (user, system) = ticks(11).zip(ticks(12)).context("/proc/PID/stat")?;
        Ok((user + system) / TICKS_PER_SECOND)
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

    /// Sums a counter over its labels.
    pub(crate) fn counter(&self, name: &str) -> anyhow::Result<u64> {
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
                    anyhow::ensure!(status.success(), "wagate ended with {status}");
                    return Ok(());
                }
                None if Instant::now() > deadline => anyhow::bail!("wagate doesn't end"),
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    fn get(&self, path: &str) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(self.api)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {API_TOKEN}\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configured(folder: &Path, webhook: SocketAddr, api: SocketAddr, crm: &str) -> String {
    let store = folder.join("store");
    format!(
        r#"
[store]
path = {store:?}
[webhook]
listen = "{webhook}"
verify_token = "benchmark"
app_secret = "{APP_SECRET}"
[webhook.tls]
self_signed = true
[api]
listen = "{api}"
token = "{API_TOKEN}"
[[numbers]]
phone_number_id = "106540352242922"
phone = "+15550783881"
[crm]
signing_secret = "{CRM_SECRET}"
[[crm.endpoints]]
name = "primary"
url = "{crm}"
"#
    )
}

/// The gateway that was built with this program.
fn binary() -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("wagate");
    anyhow::ensure!(path.exists(), "there is no {}; run scripts/bench, which builds it", path.display());
    Ok(path)
}

/// A port that was free a moment ago; the gateway must be told one.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
