//! The box's name on the local network: a responder for multicast DNS (RFC 6762, 6763), a process of its own without
//! any rights.

use anyhow::Context as _;
use board::confine::{self, Plan};
use mdns_sd::{DaemonEvent, ServiceDaemon, ServiceInfo};

use crate::cli::Exit;
use crate::config::{Log, LogFormat, LogLevel};
use crate::telemetry;

/// How often it's looked which addresses there are, in seconds.
const LOOK_S: u32 = 5;

/// What is announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// The name, without `.local`.
    pub name: String,
    /// Where HTTPS is spoken.
    pub https: Option<u16>,
    /// Where HTTP is spoken.
    pub http: Option<u16>,
}

impl Announced {
    /// Type and port of each service. The name alone has to have one, too: an address is only told together with a
    /// service, so without any it is the one of workstations, port 9 as there.
    fn services(&self) -> Vec<(&'static str, u16)> {
        let mut services = Vec::new();
        services.extend(self.https.map(|port| ("_https._tcp.local.", port)));
        services.extend(self.http.map(|port| ("_http._tcp.local.", port)));
        if services.is_empty() {
            services.push(("_workstation._tcp.local.", 9));
        }
        services
    }
}

/// Answers for the name until the process is ended.
///
/// # Errors
/// When there is no socket for it: whoever started it tries again.
pub fn announce(announced: &Announced) -> anyhow::Result<Exit> {
    telemetry::install(Log { format: LogFormat::Human, level: LogLevel::Info });
    if confine::is_asked() {
        // Sockets are all that it needs: no file, and no port of TCP.
        let plan = Plan::default().dying_with_parent(true);
        let confined =
            confine::confine(&plan).context("the process that says the box's name can't be confined")?;
        tracing::info!("{confined}");
    }
    let daemon = ServiceDaemon::new().context("no socket for multicast DNS")?;
    daemon.set_ip_check_interval(LOOK_S)?;
    let monitor = daemon.monitor()?;
    for (kind, port) in announced.services() {
        let host = format!("{}.local.", announced.name);
        let service = ServiceInfo::new(
            kind,
            &announced.name,
            &host,
            "",
            port,
            None::<std::collections::HashMap<String, String>>,
        )?;
        // Addresses come and go with cables and leases.
        daemon.register(service.enable_addr_auto())?;
    }
    while let Ok(event) = monitor.recv() {
        if let DaemonEvent::Error(error) = event {
            tracing::debug!(%error, "multicast DNS");
        }
    }
    Ok(Exit::Failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_doors_are_announced_and_the_name_in_any_case() {
        let of = |https, http| Announced { name: "wagate-7f3a".to_owned(), https, http }.services();
        assert_eq!(of(Some(443), Some(8080)), [("_https._tcp.local.", 443), ("_http._tcp.local.", 8080)]);
        assert_eq!(of(None, None), [("_workstation._tcp.local.", 9)]);
    }
}
