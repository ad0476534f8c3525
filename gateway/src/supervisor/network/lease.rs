//! What DHCP gave, as `/etc/wagate/udhcpc.sh` writes it down.

use std::path::Path;

/// A lease; what wasn't given is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Lease {
    /// `192.168.1.20/24`.
    pub(super) address: Option<String>,
    /// Time servers.
    pub(super) ntp: Vec<String>,
}

/// The lease of an interface; `None`: it has none.
pub(super) fn of(leases: &Path, interface: &str) -> Option<Lease> {
    let text = std::fs::read_to_string(leases.join(format!("{interface}.lease"))).ok()?;
    let mut lease = Lease::default();
    for line in text.lines() {
        match line.split_once('=') {
            Some(("ADDRESS", address)) if !address.is_empty() => lease.address = Some(address.to_owned()),
            Some(("NTP", servers)) => lease.ntp = servers.split_whitespace().map(str::to_owned).collect(),
            _ => {}
        }
    }
    Some(lease)
}

/// What an interface was given holds no more: a client that is told to end doesn't say so itself.
pub(super) fn forget(leases: &Path, interface: &str) {
    // There may have been none.
    let _ = std::fs::remove_file(leases.join(format!("{interface}.lease")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_read_as_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(of(folder.path(), "eth0"), None);
        let text = "ADDRESS=10.0.2.15/24\nROUTER=10.0.2.2\nDNS=10.0.2.3\nNTP=10.0.2.4 10.0.2.5\nDOMAIN=\n";
        std::fs::write(folder.path().join("eth0.lease"), text).unwrap();
        let lease = of(folder.path(), "eth0").unwrap();
        assert_eq!(lease.address.as_deref(), Some("10.0.2.15/24"));
        assert_eq!(lease.ntp, ["10.0.2.4", "10.0.2.5"]);
        forget(folder.path(), "eth0");
        forget(folder.path(), "eth7");
        assert_eq!(of(folder.path(), "eth0"), None);
        std::fs::write(folder.path().join("eth1.lease"), "ADDRESS=\nNTP=\nnonsense\n").unwrap();
        assert_eq!(of(folder.path(), "eth1"), Some(Lease::default()));
    }
}
