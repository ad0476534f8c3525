//! While there is no configuration: what the setup page needs, and what people need to find it.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use board::paths;

use super::first_boot::claim::{self, Invitation};
use super::keeper::Desk;
use super::log::Log;
use super::network::Net;
use super::place::Place;

/// Between two looks whether the box has other addresses, which are shown then.
const LOOK: Duration = Duration::from_secs(5);
/// Looks before the invitation is shown without an address: DHCP takes some seconds.
const LOOKS_AT_FIRST: u32 = 3;

/// Makes the setup page possible, and says on the console how to get there, each time that the addresses have changed.
/// Returns when the page is ready to be started; `mistakes` are shown there.
pub(super) fn invite(place: &Place, desk: &Arc<Desk>, net: &Net, log: &Log, mistakes: Option<&str>) {
    let kept = place.at(paths::BOX);
    // The page has to get through to its certificate; the values beside it are root's alone.
    if let Err(error) = std::fs::set_permissions(&kept, std::fs::Permissions::from_mode(0o711)) {
        tracing::debug!(%error, "the setup page may not find its certificate");
    }
    let prepared = match claim::prepare(&kept, &place.run(), mistakes) {
        Ok(prepared) => prepared,
        Err(words) => {
            tracing::error!("there is no setup page: {words}");
            return;
        }
    };
    let mut invitation = Invitation {
        name: desk.box_id().to_owned(),
        addresses: vec![],
        code: prepared.code,
        fingerprint: prepared.fingerprint,
    };
    desk.leave_note(&invitation.note());
    let (place, net, log) = (place.clone(), net.clone(), log.clone());
    let show = move || {
        let mut shown = None;
        let mut looks = 0;
        while !place.configuration().exists() {
            let addresses = addresses(&net);
            looks += 1;
            if (!addresses.is_empty() || looks >= LOOKS_AT_FIRST) && shown.as_ref() != Some(&addresses) {
                invitation.addresses.clone_from(&addresses);
                // On the console alone: who reads the log needn't stand beside the box.
                log.show(&invitation.console());
                shown = Some(addresses);
            }
            std::thread::sleep(LOOK);
        }
    };
    if let Err(error) = std::thread::Builder::new().name("invitation".into()).spawn(show) {
        tracing::error!(%error, "the code of the setup page can't be shown");
    }
}

/// A configuration is in force: nobody is invited any more.
pub(super) fn end(place: &Place) {
    claim::finish(&place.at(paths::BOX), &place.run());
}

/// Addresses that a person may type, without the length of their prefix.
fn addresses(net: &Net) -> Vec<String> {
    let all = net.interfaces().into_iter().flat_map(|interface| interface.addresses);
    all.map(|address| address.split('/').next().unwrap_or_default().to_owned())
        .filter(|address| !address.is_empty() && !address.starts_with("fe80:"))
        .collect()
}
