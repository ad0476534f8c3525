//! The lamp of the box.

use std::path::Path;

use board::linux::{Led, Pattern};

use super::chain::Shown;

/// See the module.
#[derive(Debug)]
pub(super) struct Lamp {
    led: Option<Led>,
    shown: Option<Pattern>,
}

impl Lamp {
    /// The lamp of this machine, if it has one.
    pub(super) fn find(sys: &Path) -> Self {
        Self { led: Led::find(sys), shown: None }
    }

    /// Shows how things are.
    pub(super) fn show(&mut self, how: Shown, installing: bool) {
        let pattern = pattern(how, installing);
        if self.shown == Some(pattern) {
            return;
        }
        self.shown = Some(pattern);
        if let Some(led) = &self.led
            && let Err(error) = led.show(pattern)
        {
            tracing::debug!("the lamp doesn't obey: {error}");
            self.led = None;
        }
    }
}

const fn pattern(how: Shown, installing: bool) -> Pattern {
    match how {
        Shown::Refused | Shown::NoData | Shown::Failing | Shown::GivingUp => Pattern::Trouble,
        Shown::Starting | Shown::Stopping => Pattern::Starting,
        Shown::Running | Shown::Setup if installing => Pattern::Updating,
        Shown::Running => Pattern::Running,
        Shown::Setup => Pattern::Setup,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_shown_before_anything_else() {
        assert_eq!(pattern(Shown::Running, false), Pattern::Running);
        assert_eq!(pattern(Shown::Running, true), Pattern::Updating);
        assert_eq!(pattern(Shown::Failing, true), Pattern::Trouble);
        assert_eq!(pattern(Shown::Setup, false), Pattern::Setup);
    }
}
