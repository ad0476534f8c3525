//! The interfaces, as far as `/sys` tells.

use std::fs;
use std::path::Path;

use crate::about::InterfaceAbout;

/// Interfaces that are told, at most.
const INTERFACES_MAX: usize = 32;

/// Those beside loopback, by name, without their addresses.
pub(super) fn interfaces(sys: &Path) -> Vec<InterfaceAbout> {
    let folder = sys.join("class/net");
    let Ok(entries) = fs::read_dir(&folder) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.retain(|name| name != "lo");
    names.sort();
    names.truncate(INTERFACES_MAX);
    let about = |name: String| {
        let line = |what: &str| {
            fs::read_to_string(folder.join(&name).join(what)).map(|text| text.trim().to_owned()).ok()
        };
        InterfaceAbout {
            mac: line("address").filter(|mac| !mac.is_empty()),
            carrier: line("carrier").as_deref() == Some("1"),
            addresses: Vec::new(),
            name,
        }
    };
    names.into_iter().map(about).collect()
}
