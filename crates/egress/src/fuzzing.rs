//! What hostile bytes may be thrown at: the answers of a CRM. Not part of the crate's interface.

use crate::http::read_answer;

/// An answer that is `bytes`, read in one portion and in two, parted by what the first byte says: it comes out the
/// same, and what is kept of it is bounded.
pub fn answer(bytes: &[u8]) {
    let Some((place, bytes)) = bytes.split_first() else { return };
    let place = usize::from(*place).min(bytes.len());
    let at_once = read_answer(&[bytes]);
    assert_eq!(read_answer(&[&bytes[..place], &bytes[place..]]), at_once);
    let Some((Some((answer, _)), _)) = at_once else { return };
    assert!(answer.reason.len() <= bytes.len().min(500));
    assert!((100..1000).contains(&answer.code));
}
