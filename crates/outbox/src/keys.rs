//! The keys of the table: a letter for what it is, then parts whose bytes sort as they do.
//!
//! | key | value |
//! |---|---|
//! | `m` place | the message as it was queued |
//! | `s` place | how it stands |
//! | `o` place | nothing: it isn't over |
//! | `f` place | whose lane it is being posted in: number and contact |
//! | `?` place | nothing: it is uncertain |
//! | `i` hash | what an `Idempotency-Key` was answered |
//! | `w` hash of a wamid | the place of its message |
//! | `e` hash of a wamid | statuses that came before their message was known |
//! | `q` number, contact, class, place | nothing: it waits in its recipient's lane |
//! | `p` number, contact | the lane |
//! | `h` number, class, place | the contact whose lane it is the head of |
//! | `x` number, contact, place | nothing: held until the contact writes, or for a time |
//! | `u` number, class, place | nothing: held until another recipient fits in |
//! | `t` ms, what, of what | nothing: to be looked at then |
//! | `d` number, day | units used |
//! | `r` portfolio, contact | when they were last pushed to: a unique recipient |
//! | `v` portfolio, ms, contact | nothing: the same by time |
//! | `n` portfolio | how many unique recipients there are |
//! | `k` contact | what the person agreed to, and the last push |
//! | `b` contact | until when marketing to them rests |
//! | `l` number, contact | their last message: the service window |
//! | `a` number | the channel: stopped, slowed, batches |
//! | `c` number | messages by standing |
//! | `y` what | single values |
//! | `g` day, number, category | what was charged |
//! | `j` name | a quick reply |

/// A key under construction.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(Vec<u8>);

impl Key {
    pub(crate) fn new(space: u8) -> Self {
        let mut bytes = Vec::with_capacity(48);
        bytes.push(space);
        Self(bytes)
    }

    /// A key as it was read.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// A text that holds no NUL, as ids and names of the configuration are.
    pub(crate) fn text(mut self, text: &str) -> Self {
        self.0.extend(text.bytes().filter(|byte| *byte != 0));
        self.0.push(0);
        self
    }

    pub(crate) fn byte(mut self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }

    pub(crate) fn number(mut self, number: u64) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    pub(crate) fn time(self, ms: i64) -> Self {
        // Shifted, so that times before 1970 sort before those after.
        self.number(ms.cast_unsigned() ^ 1 << 63)
    }

    pub(crate) fn contact(mut self, contact: u128) -> Self {
        self.0.extend(contact.to_be_bytes());
        self
    }

    pub(crate) fn hash(mut self, hash: &[u8; 16]) -> Self {
        self.0.extend(hash);
        self
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// The first key behind all that begin with this one.
    pub(crate) fn after(&self) -> Vec<u8> {
        let mut bytes = self.0.clone();
        while let Some(last) = bytes.pop() {
            if last < u8::MAX {
                bytes.push(last + 1);
                break;
            }
        }
        bytes
    }
}

pub(crate) fn message(place: u64) -> Key {
    Key::new(b'm').number(place)
}

pub(crate) fn state(place: u64) -> Key {
    Key::new(b's').number(place)
}

pub(crate) fn open(place: u64) -> Key {
    Key::new(b'o').number(place)
}

pub(crate) fn posting(place: u64) -> Key {
    Key::new(b'f').number(place)
}

pub(crate) fn uncertain(place: u64) -> Key {
    Key::new(b'?').number(place)
}

pub(crate) fn idempotency(hash: &[u8; 16]) -> Key {
    Key::new(b'i').hash(hash)
}

pub(crate) fn wamid(hash: &[u8; 16]) -> Key {
    Key::new(b'w').hash(hash)
}

pub(crate) fn early(hash: &[u8; 16]) -> Key {
    Key::new(b'e').hash(hash)
}

pub(crate) fn lane_messages(number: &str, contact: u128) -> Key {
    Key::new(b'q').text(number).contact(contact)
}

pub(crate) fn in_lane(number: &str, contact: u128, class: u8, place: u64) -> Key {
    lane_messages(number, contact).byte(class).number(place)
}

pub(crate) fn lane(number: &str, contact: u128) -> Key {
    Key::new(b'p').text(number).contact(contact)
}

pub(crate) fn heads(number: &str, class: u8) -> Key {
    Key::new(b'h').text(number).byte(class)
}

pub(crate) fn head(number: &str, class: u8, place: u64) -> Key {
    heads(number, class).number(place)
}

pub(crate) fn held_for(number: &str, contact: u128) -> Key {
    Key::new(b'x').text(number).contact(contact)
}

pub(crate) fn held(number: &str, contact: u128, place: u64) -> Key {
    held_for(number, contact).number(place)
}

pub(crate) fn crowded_out_of(number: &str, class: u8) -> Key {
    Key::new(b'u').text(number).byte(class)
}

pub(crate) fn crowded_out(number: &str, class: u8, place: u64) -> Key {
    crowded_out_of(number, class).number(place)
}

pub(crate) fn timers() -> Key {
    Key::new(b't')
}

pub(crate) fn units(number: &str, day: i32) -> Key {
    Key::new(b'd').text(number).time(i64::from(day))
}

pub(crate) fn recipient(portfolio: &str, contact: u128) -> Key {
    Key::new(b'r').text(portfolio).contact(contact)
}

pub(crate) fn recipients_by_time(portfolio: &str) -> Key {
    Key::new(b'v').text(portfolio)
}

pub(crate) fn recipient_by_time(portfolio: &str, ms: i64, contact: u128) -> Key {
    recipients_by_time(portfolio).time(ms).contact(contact)
}

/// When a unique recipient was last pushed to, and who it is, by a key of [`recipient_by_time`].
pub(crate) fn time_and_recipient(key: &[u8]) -> Option<(i64, u128)> {
    let (head, contact) = key.split_last_chunk()?;
    let (_, at) = head.split_last_chunk()?;
    Some(((u64::from_be_bytes(*at) ^ 1 << 63).cast_signed(), u128::from_be_bytes(*contact)))
}

pub(crate) fn recipient_count(portfolio: &str) -> Key {
    Key::new(b'n').text(portfolio)
}

pub(crate) fn person(contact: u128) -> Key {
    Key::new(b'k').contact(contact)
}

pub(crate) fn rest(contact: u128) -> Key {
    Key::new(b'b').contact(contact)
}

pub(crate) fn window(number: &str, contact: u128) -> Key {
    Key::new(b'l').text(number).contact(contact)
}

pub(crate) fn channel(number: &str) -> Key {
    Key::new(b'a').text(number)
}

pub(crate) fn counts(number: &str) -> Key {
    Key::new(b'c').text(number)
}

pub(crate) fn single(name: &str) -> Key {
    Key::new(b'y').text(name)
}

pub(crate) fn charges_of(day: i32) -> Key {
    Key::new(b'g').time(i64::from(day))
}

pub(crate) fn charges(day: i32, number: &str, category: &str) -> Key {
    charges_of(day).text(number).text(category)
}

pub(crate) fn quick_reply(name: &str) -> Key {
    Key::new(b'j').text(name)
}

pub(crate) fn quick_replies() -> Key {
    Key::new(b'j')
}

/// What Meta says of the unique recipients of a portfolio; of all, where it names none.
pub(crate) fn recipients_told(portfolio: Option<&str>) -> Key {
    let all = single("recipients");
    match portfolio {
        Some(portfolio) => all.text(portfolio),
        None => all,
    }
}

/// The last eight bytes of a key that ends with a place.
pub(crate) fn place_of(key: &[u8]) -> Option<u64> {
    key.last_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_their_parts_do() {
        let times = [i64::MIN, -1, 0, 1, 1_795_000_000_000, i64::MAX];
        assert!(times.map(|ms| Key::new(b't').time(ms)).is_sorted());
        assert!([1, 2, 256, u64::MAX].map(message).is_sorted());
        assert!(head("1", 0, u64::MAX) < head("1", 1, 0));
        assert!(head("1", 3, u64::MAX) < head("10", 0, 0), "a number that begins like another");
        assert_eq!(place_of(head("1", 2, 77).as_bytes()), Some(77));
    }

    #[test]
    fn what_comes_after_a_prefix_is_after_all_that_begin_with_it() {
        for prefix in [timers(), heads("106", 3), lane_messages("1", u128::MAX), Key(vec![b'q', 255, 255])] {
            let mut most = prefix.clone();
            most.0.extend([255; 64]);
            assert!(most.0 < prefix.after());
            assert!(prefix.0 < prefix.after());
        }
    }
}
