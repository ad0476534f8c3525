//! The hardware watchdog.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::{BoardError, Watchdog};

/// Where the kernel doesn't tell: less than any of those it drives by default.
const TIMEOUT_UNKNOWN: Duration = Duration::from_secs(10);

/// `/dev/watchdog`, armed by being opened, and never disarmed: the letter `V` isn't written, so that a supervisor which
/// ends, however it ends, has the machine started anew.
#[derive(Debug)]
pub struct DeviceWatchdog {
    device: File,
    timeout: Duration,
}

impl DeviceWatchdog {
    /// Opens, and so arms, the watchdog below `dev`; `None` on a machine that has none.
    ///
    /// # Errors
    /// What the system says: most likely that another process has it.
    pub fn open(dev: &Path, sys: &Path) -> Result<Option<Self>, BoardError> {
        let path = dev.join("watchdog");
        if !path.exists() {
            return Ok(None);
        }
        let device = OpenOptions::new().write(true).open(&path);
        let device = device.map_err(|error| BoardError::io(path.display(), error))?;
        let seconds = fs::read_to_string(sys.join("class/watchdog/watchdog0/timeout"));
        let seconds = seconds.ok().and_then(|text| text.trim().parse().ok()).filter(|seconds| *seconds > 0);
        Ok(Some(Self { device, timeout: seconds.map_or(TIMEOUT_UNKNOWN, Duration::from_secs) }))
    }
}

impl Watchdog for DeviceWatchdog {
    fn feed(&mut self) -> Result<(), BoardError> {
        self.device.write_all(b"\0").map_err(|error| BoardError::io("the watchdog", error))
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }
}
