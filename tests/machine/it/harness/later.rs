//! The data of a box as a later version leaves them, which this one can't read.

use std::path::Path;

use redb::TableDefinition;

use super::disk::{self, DATA, Disk, bytes_of};
use super::tools::{command, done};

/// The store's index on the data partition.
const INDEX: &str = "/store/index.redb";
/// What it was, beside it.
pub(crate) const KEPT: &str = "/store/index.kept";
/// User and group of the gateway on the box.
const WAGATE: &str = "990";
/// As `docs/formats` has it.
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

/// Raises the format of a box that is off above all that this version knows; what was there lies beside it, for
/// the version that is to read it.
pub(crate) fn raise_the_format(disk: &Disk, folder: &Path) {
    let part = disk.part(DATA);
    let file = |name: &str| folder.join(name);
    let (data, kept, index) = (file("data.img"), file("kept"), file("index"));
    disk::extract(disk.path(), part, &data);
    // The journal of a machine that was cut off.
    let repaired = super::tools::output(command("e2fsck").arg("-fy").arg(&data));
    assert!(repaired.status.code().is_some_and(|code| code <= 1), "{repaired:?}");
    let debug = |request: String| done(command("debugfs").args(["-w", "-R", &request]).arg(&data));
    debug(format!("dump {INDEX} {}", kept.display()));
    std::fs::copy(&kept, &index).unwrap();
    let database = redb::Database::open(&index).unwrap();
    let transaction = database.begin_write().unwrap();
    let later = (store::DATA_FORMAT + 1).to_le_bytes();
    transaction.open_table(META).unwrap().insert("format", later.as_slice()).unwrap();
    transaction.commit().unwrap();
    drop(database);
    debug(format!("rm {INDEX}"));
    for (from, to) in [(&kept, KEPT), (&index, INDEX)] {
        debug(format!("write {} {to}", from.display()));
        for field in ["uid", "gid"] {
            debug(format!("set_inode_field {to} {field} {WAGATE}"));
        }
    }
    done(command("e2fsck").arg("-fn").arg(&data));
    disk.write(part.start, &bytes_of(&data));
}
