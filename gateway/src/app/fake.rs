//! Parts of a running gateway, for tests of those who need only them.

use std::path::Path;
use std::sync::Arc;

use store::{FolderDisk, Store};
use tokio::sync::watch;

use super::failover::Groups;
use super::journal::{self, StoreJournal};
use super::sending::Status;
use super::snapshot::Shown;
use crate::config::CrmMode;

/// A store in `folder`, with nothing around it.
pub(crate) fn shown(folder: &Path) -> Arc<Shown> {
    let (tail, on_durable) = journal::tail();
    let disk = Arc::new(FolderDisk::new(folder).unwrap());
    let options = store::Options { segment_bytes: 8 << 20, segments: 2, ..store::Options::default() };
    let store = Arc::new(Store::open(disk, options, on_durable).unwrap());
    Arc::new(Shown {
        journal: Arc::new(StoreJournal::new(Arc::clone(&store), tail)),
        store,
        delivery: None,
        mode: CrmMode::Realtime,
        groups: Groups::default(),
        inbound: None,
        refused: None,
        tls: None,
        sending: watch::Sender::new(Status::default()).subscribe(),
    })
}
