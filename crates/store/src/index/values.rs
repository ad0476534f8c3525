//! The part of a fold that concerns the table of values.

use redb::WriteTransaction;

use super::schema::{self, Checkpoint};
use crate::format::value;
use crate::values::Changes;

/// Writes `changes` and counts their bytes in `next`.
pub(super) fn write(
    transaction: &WriteTransaction,
    changes: &Changes,
    next: &mut Checkpoint,
) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(schema::VALUES)?;
    for (key, change) in changes {
        let bytes_of = |row: &[u8]| (key.len() + row.len()) as u64;
        let old = match change {
            Some(content) => {
                let row = value::to_bytes(content);
                next.content_bytes += bytes_of(&row);
                table.insert(&**key, row.as_slice())?
            }
            None => table.remove(&**key)?,
        };
        let gone = old.map_or(0, |old| bytes_of(old.value()));
        next.content_bytes = next.content_bytes.saturating_sub(gone);
    }
    Ok(())
}
