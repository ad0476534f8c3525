//! The Graph of the benchmark: `wagate simulate whatsapp --graph`, a process of its own.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::json;

use super::customers::{phone, post, until};
use crate::cleanup::{Kept, forget, keep};
use crate::load::Connection;
use crate::server::{APP_SECRET, NUMBER, Programs, free_address, get};

/// Over so many connections statuses come.
const CONNECTIONS: &str = "4";
/// Three statuses of each message, soon, in order and once.
const STATUSES: &str =
    "statuses,sent_ms=40,delivered_ms=80,read_ms=160,unread=0,lost=0,early=0,duplicate=0,disorder=0";
/// None at all.
const NONE: &str = "statuses,lost=100";

/// A running Graph. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Graph {
    child: Child,
    control: SocketAddr,
}

/// What it has received, as far as it matters here.
#[derive(Debug, Deserialize)]
pub(super) struct Observed {
    pub(super) calls: u64,
    pub(super) accepted: u64,
    pub(super) taken_twice: u64,
    pub(super) most_at_once: u64,
    pub(super) refused: std::collections::BTreeMap<String, u64>,
    pub(super) numbers: std::collections::BTreeMap<String, OfNumber>,
}

#[derive(Debug, Deserialize)]
pub(super) struct OfNumber {
    pub(super) most_in_a_second: u64,
    pub(super) free_form_outside_window: u64,
}

#[derive(Debug, Deserialize)]
struct Letters {
    messages: Vec<Letter>,
}

#[derive(Debug, Deserialize)]
struct Letter {
    first_ms: i64,
}

impl Graph {
    /// Starts it at `address`, with its webhooks going to `gateway` over TLS.
    pub(super) fn start(
        programs: &Programs,
        address: SocketAddr,
        gateway: SocketAddr,
        statuses: bool,
    ) -> anyhow::Result<Self> {
        let control = free_address()?;
        let mut command = Command::new(&programs.gateway);
        // No customers write: they have written already.
        command.args(["simulate", "whatsapp", "--count", "0", "--connections", CONNECTIONS]);
        command.args(["--webhook", &format!("https://{gateway}/webhook"), "--app-secret", APP_SECRET]);
        command.args(["--graph", &address.to_string(), "--control", &control.to_string()]);
        command.args(["--phone-number-id", NUMBER, "--behave", if statuses { STATUSES } else { NONE }]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = keep(|| {
            let child = command.spawn().context("the simulated Graph can't be started")?;
            let id = child.id();
            Ok((child, Kept::Process(id)))
        })?;
        let graph = Self { child, control };
        until(|| Ok(get(control, "/observed").is_ok())).context("the simulated Graph doesn't answer")?;
        Ok(graph)
    }

    /// So many customers have written.
    pub(super) fn heard(&self, customers: usize) -> anyhow::Result<()> {
        for number in 0..customers {
            // It closes a connection with its answer.
            let mut connection = Connection::open(self.control, None)?;
            let status = connection.ask(&post("/heard", "", &json!({ "phone": phone(number) })))?;
            anyhow::ensure!(status == 200, "the simulated Graph answered {status}");
        }
        Ok(())
    }

    pub(super) fn observed(&self) -> anyhow::Result<Observed> {
        self.json("/observed")
    }

    /// When each message was posted, in milliseconds since 1970.
    pub(super) fn times(&self) -> anyhow::Result<Vec<i64>> {
        let letters: Letters = self.json("/observed/messages")?;
        Ok(letters.messages.iter().map(|letter| letter.first_ms).collect())
    }

    fn json<T: for<'a> Deserialize<'a>>(&self, path: &str) -> anyhow::Result<T> {
        let answer = get(self.control, path)?;
        let (_, body) = answer.split_once("\r\n\r\n").context("an answer without an end of its head")?;
        serde_json::from_str(body).with_context(|| format!("{path} of the simulated Graph"))
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // Fails only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        forget(&Kept::Process(self.child.id()));
    }
}
