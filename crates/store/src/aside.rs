//! Bytes that can't be read any more: set aside for a person to look at, and known again at the next start.

use crate::store::Shared;

/// What a version on trial sets aside bears this behind its name: what only that one can't read says nothing about
/// the disk.
const ON_TRIAL: &str = ".trial";

impl Shared {
    /// Sets `bytes` aside under `name`. Says whether a version that stays had set them aside before: then the
    /// damage is older than whoever comes across it now.
    pub(crate) fn set_aside(&self, name: &str, bytes: &[u8]) -> bool {
        if self.disk.is_aside(name) {
            return true;
        }
        let ending = if self.on_trial { ON_TRIAL } else { "" };
        if let Err(error) = self.disk.set_aside(&format!("{name}{ending}"), bytes) {
            tracing::warn!(%error, "damaged bytes can't be set aside");
        }
        false
    }
}
