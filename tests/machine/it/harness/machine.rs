//! A box in QEMU: power on, power off in the hard way, and what can be seen of it from outside.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::disk::{self, Disk};
use super::fat::Fat;
use super::monitor::Monitor;
use super::serial::Serial;
use super::tools::{self, command};
use super::{BOOT, Client, within};

/// The network card, as QEMU's monitor calls it.
pub(super) const CARD: &str = "cable";
/// The card that the image is flashed to.
const CARD_BYTES: u64 = 1 << 30;
const MEMORY_MIB: u32 = 512;
/// Lines of the serial line that a failed test shows.
const SHOWN: usize = 150;

/// What starts first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Firmware {
    /// UEFI, as on servers and many boards.
    Edk2,
    /// As on most small boards.
    UBoot,
    /// A Raspberry Pi 3 with its own U-Boot, the nearest to a Pi 4 that QEMU has.
    RaspberryPi3,
}

/// What is plugged in.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) firmware: Firmware,
    /// A watchdog that resets the machine.
    pub(crate) watchdog: bool,
    /// Everything that is written to the disk is noted there, in its order.
    pub(crate) log: Option<PathBuf>,
}

impl Default for Setup {
    fn default() -> Self {
        Self { firmware: Firmware::Edk2, watchdog: true, log: None }
    }
}

/// One box. Dropping it pulls the plug.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) disk: Disk,
    pub(crate) serial: Serial,
    pub(crate) webhook_port: u16,
    pub(crate) api_port: u16,
    setup: Setup,
    stick: Option<Fat>,
    folder: TempDir,
    qemu: Option<Child>,
    /// The last power-on.
    started: Instant,
}

impl Machine {
    /// A card flashed with `image`, in a machine that is off.
    pub(crate) fn new(image: &Path, setup: Setup) -> Self {
        let folder = tempfile::Builder::new().prefix("wagate-machine-").tempdir().unwrap();
        let disk = Disk::flash(image, &folder.path().join("disk.img"), CARD_BYTES);
        if setup.firmware == Firmware::Edk2 {
            disk::copy(Path::new(tools::EDK2_VARS), &folder.path().join("vars.fd"));
        }
        Self {
            disk,
            serial: Serial::new(&folder.path().join("serial.txt")),
            webhook_port: port(),
            api_port: port(),
            setup,
            stick: None,
            folder,
            qemu: None,
            started: Instant::now(),
        }
    }

    /// Puts a configuration and what it names onto the FAT partition, as a person with a laptop does.
    pub(crate) fn put_all(&self, files: &[(String, Vec<u8>)]) {
        for (name, content) in files {
            self.disk.put(name, content);
        }
    }

    /// Has a USB stick in a socket from the next power-on on.
    pub(crate) fn plug(&mut self, stick: &Fat) {
        self.stick = Some(stick.clone());
    }

    /// Power on. The serial line begins anew for [`Serial::text`].
    pub(crate) fn start(&mut self) {
        assert!(self.qemu.is_none(), "it runs already");
        self.serial.forget();
        let errors = File::create(self.folder.path().join("qemu.txt")).unwrap();
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
        self.started = Instant::now();
        self.qemu = Some(command.spawn().unwrap());
    }

    fn command(&self) -> Command {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let mut qemu = command("qemu-system-aarch64");
        let mut add = |words: &str| {
            qemu.args(words.split(' '));
        };
        add("-display none -no-user-config -monitor none");
        add(&format!("-chardev file,id=s0,path={},append=on -serial chardev:s0", path("serial.txt")));
        add(&format!("-qmp unix:{},server=on,wait=off", path("qmp")));
        if self.setup.firmware == Firmware::RaspberryPi3 {
            let [u_boot, tree] = tools::raspberry_pi_3().expect("tools::raspberry_pi_3 was asked before");
            add(&format!("-M raspi3b -kernel {} -dtb {}", u_boot.display(), tree.display()));
            add(&format!("-drive if=sd,format=raw,file={}", self.disk.path().display()));
            return qemu;
        }
        add(&format!("-M virt -cpu cortex-a72 -smp 2 -nodefaults -m {MEMORY_MIB}"));
        let (webhook, api) = (self.webhook_port, self.api_port);
        let forward = |host: u16, guest: u16| format!("hostfwd=tcp:127.0.0.1:{host}-:{guest}");
        add(&format!("-netdev user,id=net,{},{}", forward(webhook, 443), forward(api, 8080)));
        add(&format!("-device virtio-net-pci,netdev=net,romfile=,id={CARD} -device virtio-rng-pci"));
        add(&format!("-object filter-dump,id=dump,netdev=net,file={}", path("network.pcap")));
        if self.setup.watchdog {
            add("-device i6300esb -action watchdog=reset");
        }
        if let Some(stick) = &self.stick {
            add(&format!("-drive if=none,id=stick,format=raw,file={}", stick.path.display()));
            add("-device qemu-xhci -device usb-storage,drive=stick,removable=on");
        }
        match self.setup.firmware {
            Firmware::Edk2 => {
                // A millisecond instead of four seconds to press a key in.
                add("-boot menu=on,splash-time=1");
                let flash =
                    |readonly, file| format!("-drive if=pflash,format=raw,readonly={readonly},file={file}");
                add(&flash("on", tools::EDK2_CODE.to_owned()));
                add(&flash("off", path("vars.fd")));
            }
            Firmware::UBoot | Firmware::RaspberryPi3 => add(&format!("-bios {}", tools::U_BOOT)),
        }
        let disk = self.disk.path().display();
        match &self.setup.log {
            None => add(&format!("-blockdev driver=file,filename={disk},node-name=file")),
            Some(log) => {
                add(&format!("-blockdev driver=file,filename={disk},node-name=card"));
                add(&format!("-blockdev driver=file,filename={},node-name=log", log.display()));
                add(
                    "-blockdev driver=blklogwrites,node-name=file,file=card,log=log,log-sector-size=512,log-super-update-interval=64",
                );
            }
        }
        add("-blockdev driver=raw,node-name=box,file=file");
        add("-device virtio-blk-pci,drive=box,romfile=,id=box-disk");
        qemu
    }

    /// Pulls the plug: SIGKILL to QEMU, and what it hadn't handed to the system is gone.
    pub(crate) fn kill(&mut self) {
        if let Some(mut qemu) = self.qemu.take() {
            // It may have ended already.
            let _ = qemu.kill();
            qemu.wait().unwrap();
        }
    }

    /// Since the last power-on.
    pub(crate) fn up(&self) -> Duration {
        self.started.elapsed()
    }

    fn assert_alive(&mut self) {
        let left = self.qemu.as_mut().expect("the machine is off").try_wait().unwrap();
        if let Some(status) = left {
            let said = std::fs::read_to_string(self.folder.path().join("qemu.txt")).unwrap_or_default();
            panic!("QEMU has left with {status}: {said}");
        }
    }

    /// Waits until these words stand on the serial line.
    pub(crate) async fn says(&mut self, words: &str, patience: Duration) {
        self.says_times(words, 1, patience).await;
    }

    /// Waits until these words stand there so often.
    pub(crate) async fn says_times(&mut self, words: &str, times: usize, patience: Duration) {
        within(patience, &format!("{words:?} on the serial line, {times} times"), async || {
            self.assert_alive();
            (self.serial.count(words) >= times).then_some(())
        })
        .await;
    }

    /// Waits until the gateway is ready; gives the time since power-on.
    pub(crate) async fn ready(&mut self) -> Duration {
        let client = self.client();
        within(BOOT, "the gateway is ready", async || {
            self.assert_alive();
            client.is_ready().await.then_some(())
        })
        .await;
        self.up()
    }

    /// Waits until the gateway of the version answers; after an update or a roll-back.
    pub(crate) async fn runs(&mut self, version: &str, patience: Duration) {
        let client = self.client();
        within(patience, &format!("version {version} runs"), async || {
            self.assert_alive();
            (client.version().await.as_deref() == Some(version)).then_some(())
        })
        .await;
    }

    /// What the operator's commands talk to.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.api_port)
    }

    /// Every packet since the last power-on, as it went over the cable.
    pub(crate) fn network(&self) -> Vec<u8> {
        std::fs::read(self.folder.path().join("network.pcap")).unwrap_or_default()
    }

    /// Where webhooks go.
    pub(crate) fn webhook_url(&self) -> String {
        format!("https://127.0.0.1:{}/webhook", self.webhook_port)
    }

    /// QEMU's control socket.
    pub(crate) async fn monitor(&self) -> Monitor {
        let socket = self.folder.path().join("qmp");
        within(Duration::from_secs(10), "QEMU's monitor", async || Monitor::open(&socket)).await
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            self.serial.show(SHOWN);
        }
    }
}

/// A port below those that the system gives to connections.
fn port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 14_000;
    const COUNT: u16 = 16_000;
    let offset = u16::try_from(std::process::id() * 97 % u32::from(COUNT)).unwrap();
    loop {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + (offset + next % COUNT) % COUNT;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
