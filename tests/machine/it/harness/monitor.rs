//! QEMU's own control socket (QMP).

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

/// An answer takes milliseconds, or QEMU has hung.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// The connection.
#[derive(Debug)]
pub(crate) struct Monitor {
    lines: BufReader<UnixStream>,
}

/// What was done to the disk since QEMU's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockStatistics {
    pub(crate) bytes_written: u64,
    pub(crate) writes: u64,
    pub(crate) flushes: u64,
}

impl Monitor {
    pub(super) fn open(socket: &Path) -> Option<Self> {
        let stream = UnixStream::connect(socket).ok()?;
        stream.set_read_timeout(Some(ANSWER_MAX)).unwrap();
        let mut monitor = Self { lines: BufReader::new(stream) };
        monitor.line();
        monitor.ask("qmp_capabilities", &json!({}));
        Some(monitor)
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("QEMU says {line:?}"))
    }

    /// Asks, and gives the answer; what QEMU says by itself meanwhile is dropped.
    pub(crate) fn ask(&mut self, what: &str, arguments: &Value) -> Value {
        let question = json!({ "execute": what, "arguments": arguments });
        self.lines.get_mut().write_all(format!("{question}\n").as_bytes()).unwrap();
        loop {
            let answer = self.line();
            assert!(answer.get("error").is_none(), "QEMU refuses {question}: {answer}");
            if let Some(answer) = answer.get("return") {
                return answer.clone();
            }
        }
    }

    /// Pulls the network cable, or plugs it in.
    pub(crate) fn cable(&mut self, plugged: bool) {
        self.ask("set_link", &json!({ "name": super::machine::CARD, "up": plugged }));
    }

    /// What was done to the box's disk.
    pub(crate) fn disk(&mut self) -> BlockStatistics {
        let all = self.ask("query-blockstats", &json!({ "query-nodes": false }));
        let disks = all.as_array().unwrap();
        let is_ours = |disk: &&Value| disk["qdev"].as_str().is_some_and(|name| name.contains("box-disk"));
        let disk = disks.iter().find(is_ours).unwrap_or_else(|| panic!("no disk in {all}"));
        let number = |name: &str| disk["stats"][name].as_u64().unwrap();
        BlockStatistics {
            bytes_written: number("wr_bytes"),
            writes: number("wr_operations"),
            flushes: number("flush_operations"),
        }
    }
}
