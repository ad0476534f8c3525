//! A disk that hangs: the watchdog over the process isn't fed while the store's writer waits for it, and is again
//! afterwards, without a board and whoever holds the watchdog (systemd, with `WatchdogSec=`).

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::mount::{UnmountFlags, unmount};
use simulate::whatsapp::{Pace, PayloadOptions};

use crate::harness::{Appliance, LONG, Load, Site, eventually, run, skip};

/// The time of the watchdog; it is to be fed three times in it.
const WATCHDOG: Duration = Duration::from_millis(1500);

/// A file system of its own, in a file, that can be made to hang.
struct Hanging(PathBuf);

impl Hanging {
    fn mount(site: &Site) -> Option<Self> {
        let (image, path) = (site.path().join("image"), site.path().join("hanging"));
        std::fs::create_dir(&path).unwrap();
        std::fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
        let made = done("mkfs.ext4", &["-q".as_ref(), &image])
            && done("mount", &["-o".as_ref(), "loop".as_ref(), &image, &path]);
        made.then_some(Self(path))
    }

    /// From now on whoever writes or syncs waits, as on a card that doesn't answer.
    fn hang(&self) {
        assert!(done("fsfreeze", &["--freeze".as_ref(), &self.0]));
    }

    fn go_on(&self) -> bool {
        done("fsfreeze", &["--unfreeze".as_ref(), &self.0])
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        // A test that failed leaves nobody behind who waits.
        self.go_on();
        let _ = unmount(&self.0, UnmountFlags::DETACH);
    }
}

fn done(program: &str, arguments: &[&Path]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

/// All that the keeper has heard and not read yet.
fn heard(keeper: &UnixDatagram) -> Vec<String> {
    let mut bytes = [0; 1024];
    let mut words = Vec::new();
    keeper.set_nonblocking(true).unwrap();
    while let Ok(length) = keeper.recv(&mut bytes) {
        words.push(String::from_utf8(bytes[..length].to_vec()).unwrap());
    }
    words
}

#[test]
fn a_writer_that_hangs_starves_the_watchdog_and_one_that_goes_on_feeds_it() {
    run(async {
        let mut site = Site::without_crm();
        let Some(disk) = Hanging::mount(&site) else {
            return skip("the disk that hangs", "a loop device can only be mounted as root");
        };
        site.store = disk.0.join("store");
        site.store_keys = "log_segment = \"5MiB\"\nlog_segments = 2".into();
        let path = site.path().join("notify.sock");
        let keeper = UnixDatagram::bind(&path).unwrap();
        site.environment.push(("NOTIFY_SOCKET".into(), path.to_str().unwrap().to_owned()));
        site.environment.push(("WATCHDOG_USEC".into(), WATCHDOG.as_micros().to_string()));
        let appliance = Appliance::start(&site).await;
        let options = PayloadOptions { seed: 5, ..PayloadOptions::default() };
        let load = Load::start(&site, &options, 1, Pace::PerSecond(20.0), None);
        eventually("webhooks are taken, and it is fed", async || {
            (load.acked() > 5 && heard(&keeper).iter().any(|word| word == "WATCHDOG=1\n")).then_some(())
        })
        .await;

        disk.hang();
        // It may have been said before, of a writer that was slow: what counts is that all has become quiet.
        let (mut acked, mut since) = (load.acked(), Instant::now());
        eventually("the writer hangs", async || {
            let (now, beats) = (load.acked(), heard(&keeper));
            if now != acked || !beats.is_empty() {
                (acked, since) = (now, Instant::now());
            }
            let is_said = appliance.log.find("writer doesn't answer").is_some();
            (is_said && since.elapsed() > WATCHDOG).then_some(())
        })
        .await;
        tokio::time::sleep(WATCHDOG * 2).await;
        assert_eq!(heard(&keeper), [""; 0], "fed though nothing can be written");
        assert_eq!(load.acked(), acked, "a 200 without a disk");

        assert!(disk.go_on());
        keeper.set_nonblocking(false).unwrap();
        keeper.set_read_timeout(Some(LONG)).unwrap();
        let mut bytes = [0; 1024];
        let length = keeper.recv(&mut bytes).expect("not fed again");
        assert_eq!(&bytes[..length], b"WATCHDOG=1\n");
        eventually("webhooks are taken again", async || (load.acked() > acked + 5).then_some(())).await;
        assert!(appliance.log.find("writer answers again").is_some());
        load.stop().await;
        appliance.stop().await;
    });
}
