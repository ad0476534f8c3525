//! What makes two records the same.

use ring::digest::{Context, SHA256, digest};

use crate::identity::is_usable;

/// The id of bytes that have none of their own: their SHA-256 in hexadecimal.
pub(crate) fn of_bytes(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

/// The id of an account event: the SHA-256 in hexadecimal of entry id, entry time, field and bytes,
/// each led by its length as eight bytes, the highest first.
pub(crate) fn of_event(entry_id: &str, entry_time: &str, field: &str, bytes: &[u8]) -> String {
    hash([entry_id.as_bytes(), entry_time.as_bytes(), field.as_bytes(), bytes])
}

/// The id of a status: the wamid and what tells its statuses apart, joined by colons. Parts that
/// can't stand in a header as they are give way to their hash. At most 800 characters.
pub(crate) fn composed(wamid: &str, parts: &[&str]) -> String {
    let length = parts.iter().map(|part| part.len() + 1).sum::<usize>();
    let mut id = String::with_capacity(wamid.len() + length);
    id.push_str(wamid);
    if parts.iter().all(|part| is_usable(part)) {
        for part in parts {
            id.push(':');
            id.push_str(part);
        }
    } else {
        id.push(':');
        id.push_str(&hash(parts.iter().map(|part| part.as_bytes())));
    }
    id
}

fn hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    hex(context.finish().as_ref())
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_known_by_their_sha256() {
        assert_eq!(of_bytes(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn where_one_part_ends_and_the_next_begins_makes_a_difference() {
        assert_ne!(of_event("12", "3", "f", b"{}"), of_event("1", "23", "f", b"{}"));
        assert_ne!(of_event("1", "2", "f", b"{}"), of_event("1", "2", "", b"f{}"));
    }

    #[test]
    fn odd_parts_give_way_to_their_hash() {
        assert_eq!(composed("wamid.A", &["sent"]), "wamid.A:sent");
        assert_eq!(composed("wamid.A", &["captured", "payment", "txn-1"]), "wamid.A:captured:payment:txn-1");
        let long = "x".repeat(257);
        for odd in ["", "two words", "né", "\0", long.as_str()] {
            let id = composed("wamid.A", &[odd, "B"]);
            assert!(id.starts_with("wamid.A:") && id.len() == 8 + 64, "{id}");
            assert_eq!(id, composed("wamid.A", &[odd, "B"]));
            assert_ne!(id, composed("wamid.A", &[odd, "C"]));
        }
    }
}
