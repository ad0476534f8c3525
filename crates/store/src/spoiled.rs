//! Rows of the table of values whose bytes can't be read.

use std::collections::BTreeSet;

/// So many of them are told apart; a table with more has been told of often enough.
const ROWS_MAX: usize = 1024;

/// The rows that were come across since the start.
#[derive(Debug, Default)]
pub(crate) struct Spoiled {
    /// Their keys, hashed.
    rows: BTreeSet<[u8; 16]>,
}

impl Spoiled {
    /// Notes a row, and says whether it is to be told of: the first time that it is come across.
    pub(crate) fn note(&mut self, row: [u8; 16]) -> bool {
        self.rows.len() < ROWS_MAX && self.rows.insert(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_told_of_once_and_a_table_full_of_them_has_an_end() {
        let mut spoiled = Spoiled::default();
        let told = (0..2 * ROWS_MAX as u128).filter(|row| spoiled.note(row.to_be_bytes())).count();
        assert_eq!((told, spoiled.rows.len()), (ROWS_MAX, ROWS_MAX));
        assert!(!spoiled.note(0_u128.to_be_bytes()), "again");
    }
}
