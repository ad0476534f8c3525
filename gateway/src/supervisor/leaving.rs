//! The way down: what has to be kept is kept, the data is at rest, and the machine starts anew.

use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use rustix::mount::{MountFlags, UnmountFlags, mount_remount, unmount};

use super::log::STATE;
use super::place::Place;

/// How long the data may take to be at rest; a disk that is gone never is.
const REST_WITHIN: Duration = Duration::from_secs(10);
/// How often the watchdog is fed meanwhile.
const FEED_EVERY: Duration = Duration::from_secs(1);

/// Lets the data be at rest and starts the machine anew; `feed` keeps the watchdog quiet for the while. Returns only
/// when the kernel refuses; nobody feeds the watchdog then.
pub(super) fn reboot(place: &Place, feed: impl FnMut()) {
    let data = place.at(board::paths::DATA);
    if !within(REST_WITHIN, feed, move || rest(&data)) {
        tracing::error!("the disk doesn't come to rest, and isn't waited for: its journal will mend it");
    }
    let refused = board::linux::reboot_unsynced();
    tracing::error!("the machine doesn't start anew, so that the watchdog has to see to it: {refused}");
}

/// Does `job` on a thread of its own; whether it was done in time.
fn within(limit: Duration, mut feed: impl FnMut(), job: impl FnOnce() + Send + 'static) -> bool {
    let (say, done) = sync_channel(1);
    let until = Instant::now() + limit;
    let doing = std::thread::Builder::new().name("rest".into()).spawn(move || {
        job();
        let _ = say.try_send(());
    });
    while doing.is_ok() {
        feed();
        let left = until.saturating_duration_since(Instant::now());
        if done.recv_timeout(left.min(FEED_EVERY)).is_ok() {
            return true;
        }
        if left.is_zero() {
            break;
        }
    }
    false
}

/// Unmounts the data. Who still has a file open there is not waited for: it can't write to it any more.
fn rest(data: &Path) {
    rustix::fs::sync();
    match unmount(data, UnmountFlags::NOFOLLOW) {
        // Nothing is mounted there.
        Ok(()) | Err(rustix::io::Errno::INVAL) => {}
        Err(error) => {
            tracing::info!(target: STATE, %error, "the data can't be unmounted, so it is made read-only");
            if let Err(error) = mount_remount(data, MountFlags::RDONLY | MountFlags::NOATIME, c"") {
                tracing::warn!(%error, "neither can it be made read-only; its journal will mend it");
            }
        }
    }
    rustix::fs::sync();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_never_comes_to_rest_is_waited_for_no_longer_than_the_limit_and_the_watchdog_is_fed() {
        let (answer, disk) = sync_channel::<()>(0);
        let mut fed = 0;
        assert!(!within(Duration::from_millis(20), || fed += 1, move || _ = disk.recv()));
        assert!(fed > 0);
        drop(answer);
        assert!(within(REST_WITHIN, || (), || ()));
    }
}
