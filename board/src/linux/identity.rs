//! Which box this is.

use embedded_svc::storage::RawStorage;
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::BoardError;

/// Where the name is kept.
const KEY: &str = "box-id";
const PREFIX: &str = "wagate-";
/// Letters behind it: 923,521 names, and nobody has that many boxes in one network.
const LETTERS: usize = 4;
/// Without those that are taken for one another on a label.
const ALPHABET: &[u8; 31] = b"abcdefghjkmnpqrstuvwxyz23456789";

/// The box's name, `wagate-7f3a`: made once, and then the one that is kept. One that can't be read, or isn't a name,
/// is made anew.
///
/// # Errors
/// When a new one can't be kept: it is in the error's place then, to be used until the next start.
pub fn box_id<S: RawStorage<Error = BoardError>>(storage: &mut S) -> Result<String, (String, BoardError)> {
    let mut buffer = [0; 64];
    if let Ok(Some(kept)) = storage.get_raw(KEY, &mut buffer)
        && let Ok(name) = std::str::from_utf8(kept)
        && is_box_id(name.trim())
    {
        return Ok(name.trim().to_owned());
    }
    let name = new_box_id();
    match storage.set_raw(KEY, name.as_bytes()) {
        Ok(_) => Ok(name),
        Err(error) => Err((name, error)),
    }
}

/// A name at random.
pub(super) fn new_box_id() -> String {
    let random = SystemRandom::new();
    let letters = (0..LETTERS).map(|_| {
        let mut byte = [0];
        loop {
            // A byte is taken only where every letter is as likely: below the largest multiple.
            if random.fill(&mut byte).is_err() || usize::from(byte[0]) < 256 / ALPHABET.len() * ALPHABET.len()
            {
                break char::from(ALPHABET[usize::from(byte[0]) % ALPHABET.len()]);
            }
        }
    });
    letters.fold(PREFIX.to_owned(), |mut name, letter| {
        name.push(letter);
        name
    })
}

/// `wagate-` and 4 to 6 small letters or digits, as it may also have been set by hand.
fn is_box_id(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|rest| {
        (4..=6).contains(&rest.len())
            && rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    })
}
