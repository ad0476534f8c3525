//! Parts of a running gateway, for tests of those who need only them.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use store::{FolderDisk, Store};
use tokio::sync::watch;

use super::events::Events;
use super::failover::Groups;
use super::journal::{self, StoreJournal};
use super::machine::Machine;
use super::sending::Status;
use super::snapshot::Shown;
use super::strangers::Strangers;
use super::update::Updates;
use super::wear::WearWatch;
use crate::config::CrmMode;

/// Says for as long as the tests run that nothing is to stop.
static RUNS: LazyLock<watch::Sender<bool>> = LazyLock::new(|| watch::Sender::new(false));

/// A store in `folder`, over a machine, with nothing else around it.
pub(crate) fn shown(folder: &Path, machine: Machine) -> Arc<Shown> {
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
        acme: None,
        api_tls: None,
        strangers: Strangers::default(),
        sending: watch::Sender::new(Status::default()).subscribe(),
        updates: Updates::new(machine, Events::default(), RUNS.subscribe()),
        time: watch::Sender::default().subscribe(),
        wear: WearWatch::new(folder.to_owned(), folder.to_owned()),
    })
}
