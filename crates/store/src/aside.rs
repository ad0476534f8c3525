//! Bytes that can't be read any more: set aside for a person to look at, and known again at the next start.

use crate::disk::Disk;
use crate::store::Shared;

/// What a version on trial sets aside bears this behind its name: what only that one can't read says nothing about
/// the disk.
pub(crate) const ON_TRIAL: &str = ".trial";
/// Of a hole, or of what can be read and not understood, so much is kept.
pub(crate) const ASIDE_BYTES: usize = 1 << 20;

/// Where bytes are set aside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Aside<'a> {
    pub(crate) disk: &'a dyn Disk,
    /// The version that runs may be gone again: [`crate::Options::keep_format`].
    pub(crate) on_trial: bool,
}

impl Aside<'_> {
    /// Sets `bytes` aside under `name`. Says whether a version that stays had set them aside before: then the
    /// damage is older than whoever comes across it now.
    pub(crate) fn keep(self, name: &str, bytes: &[u8]) -> bool {
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

impl Shared {
    /// As [`Aside::keep`].
    pub(crate) fn set_aside(&self, name: &str, bytes: &[u8]) -> bool {
        Aside { disk: &*self.disk, on_trial: self.on_trial }.keep(name, bytes)
    }
}
