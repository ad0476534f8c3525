//! The lamp of the box.

use std::fs;
use std::path::{Path, PathBuf};

use crate::BoardError;

/// What the lamp says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// Short flashes, one a second: it is starting.
    Starting,
    /// On: all is well.
    Running,
    /// Quick: somebody should look at the page of the box.
    Trouble,
    /// Slow and even: an update is being written; don't pull the plug, though it would survive that.
    Updating,
    /// Two beats, as of a heart: it waits to be set up.
    Setup,
}

impl Pattern {
    /// The kernel's trigger, and for `timer` how long it is on and off, in milliseconds.
    const fn trigger(self) -> (&'static str, Option<(u32, u32)>) {
        match self {
            Self::Starting => ("timer", Some((100, 900))),
            Self::Running => ("default-on", None),
            Self::Trouble => ("timer", Some((100, 100))),
            Self::Updating => ("timer", Some((500, 500))),
            Self::Setup => ("heartbeat", None),
        }
    }
}

/// Names of lamps that are for people, in the order in which they are taken: as the boards' device trees have them.
const NAMES: [&str; 4] = ["ACT", "led0", "status", "user"];

/// A lamp below `/sys/class/leds`.
#[derive(Debug, Clone)]
pub struct Led {
    folder: PathBuf,
}

impl Led {
    /// The lamp for people below this root of `/sys`; `None` on a machine without.
    #[must_use]
    pub fn find(sys: &Path) -> Option<Self> {
        let leds = sys.join("class/leds");
        let mut names: Vec<String> = fs::read_dir(&leds)
            .ok()?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort();
        let wanted =
            |want: &str| names.iter().find(|name| name.to_lowercase().contains(&want.to_lowercase()));
        let name = NAMES.iter().find_map(|want| wanted(want))?;
        Some(Self { folder: leds.join(name) })
    }

    /// Shows a pattern. Where the kernel lacks the trigger the lamp is simply on, or off for [`Pattern::Trouble`].
    ///
    /// # Errors
    /// What the system says.
    pub fn show(&self, pattern: Pattern) -> Result<(), BoardError> {
        let put = |name: &str, text: &str| fs::write(self.folder.join(name), text);
        let (trigger, times) = pattern.trigger();
        let shown = put("trigger", trigger).and_then(|()| match times {
            // These two appear with the trigger.
            Some((on, off)) => {
                put("delay_on", &on.to_string()).and_then(|()| put("delay_off", &off.to_string()))
            }
            None => Ok(()),
        });
        shown
            .or_else(|_| {
                put("trigger", "none")
                    .and_then(|()| put("brightness", if pattern == Pattern::Trouble { "0" } else { "1" }))
            })
            .map_err(|error| BoardError::io(self.folder.display(), error))
    }
}
