//! A record in postcard, version 1.
//!
//! Postcard carries no schema, so this layout is never edited: the next one is another module with
//! another version byte. The sequence isn't in here; it stands beside wherever a record is kept.

use std::sync::Arc;

use model::{Account, Contact, ContactId, Item, Kind, Record, Sequence, Via, WallTime};
use serde::{Deserialize, Serialize};

use super::Unreadable;
use crate::keyed::Hash;

const VERSION: u8 = 1;

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct RecordV1<'a> {
    received_ms: i64,
    kind: u8,
    source: &'a str,
    id: &'a str,
    time_ms: Option<i64>,
    waba_id: Option<&'a str>,
    phone_number_id: Option<&'a str>,
    account_phone: Option<&'a str>,
    #[serde(borrow)]
    contact: Option<ContactV1<'a>>,
    group: Option<&'a str>,
    via: u8,
    field: &'a str,
    reason: &'a str,
    #[serde(serialize_with = "whole")]
    raw: &'a [u8],
}

/// Copies bytes at once. Serde takes a slice of bytes for a list of numbers, which postcard writes
/// to the same bytes, one after another.
pub(super) fn whole<S: serde::Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ContactV1<'a> {
    id: u128,
    phone: Option<&'a str>,
    wa_id: Option<&'a str>,
    user_id: Option<&'a str>,
    parent_user_id: Option<&'a str>,
    username: Option<&'a str>,
    name: Option<&'a str>,
    /// Keyed hashes of the aliases that this record taught the box.
    learned: Vec<Hash>,
    /// Contacts that this record showed to be the same person as `id`.
    joined: Vec<u128>,
}

/// Appends to bytes as many at a time as there are; postcard's own way goes one by one.
pub(super) struct Whole(pub(super) Vec<u8>);

impl postcard::ser_flavors::Flavor for Whole {
    type Output = Vec<u8>;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<Vec<u8>> {
        Ok(self.0)
    }
}

/// What a record taught the box about who is who.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lesson {
    /// The contact, as 128 bits; 0 where the record has none.
    pub(crate) contact: u128,
    pub(crate) learned: Vec<Hash>,
    pub(crate) joined: Vec<u128>,
}

/// What a record takes beside its raw bytes, as a rule at most: some 260, and 16 for each new alias.
const FRAME_BYTES: usize = 384;

/// The bytes of an item with what the store added to it.
pub(crate) fn to_bytes(item: &Item, received_at: WallTime, lesson: &Lesson) -> Vec<u8> {
    let stored = RecordV1 {
        received_ms: received_at.0,
        kind: kind_number(item.kind),
        source: &item.source,
        id: &item.id,
        time_ms: item.time.map(|time| time.0),
        waba_id: item.account.waba_id.as_deref(),
        phone_number_id: item.account.phone_number_id.as_deref(),
        account_phone: item.account.phone.as_deref(),
        contact: item.contact.as_ref().map(|contact| ContactV1 {
            id: lesson.contact,
            phone: contact.phone.as_deref(),
            wa_id: contact.wa_id.as_deref(),
            user_id: contact.user_id.as_deref(),
            parent_user_id: contact.parent_user_id.as_deref(),
            username: contact.username.as_deref(),
            name: contact.name.as_deref(),
            learned: lesson.learned.clone(),
            joined: lesson.joined.clone(),
        }),
        group: item.group.as_deref(),
        via: match item.via {
            None => 0,
            Some(Via::Standby) => 1,
            Some(Via::History) => 2,
        },
        field: &item.field,
        reason: &item.reason,
        raw: &item.raw,
    };
    let mut bytes = Vec::with_capacity(item.raw.len() + FRAME_BYTES);
    bytes.push(VERSION);
    // Writing plain data to memory can't fail; were it to, the record would come back as
    // unreadable, which the crash tests would see.
    postcard::serialize_with_flavor(&stored, Whole(bytes)).unwrap_or_default()
}

/// Reads a record back. Its contact's aliases are not stored (only their hashes are) and come back
/// empty.
///
/// # Errors
/// When the bytes are of another version, or not a record at all.
pub(crate) fn from_bytes(sequence: Sequence, bytes: &[u8]) -> Result<Arc<Record>, Unreadable> {
    let stored = parse(bytes)?;
    let contact_id = stored.contact.as_ref().map(|contact| ContactId::from_bits(contact.id));
    let item = Item {
        kind: number_kind(stored.kind).ok_or(Unreadable("kind of a record"))?,
        source: stored.source.to_owned(),
        id: stored.id.to_owned(),
        time: stored.time_ms.map(WallTime),
        account: Account {
            waba_id: stored.waba_id.map(str::to_owned),
            phone_number_id: stored.phone_number_id.map(str::to_owned),
            phone: stored.account_phone.map(str::to_owned),
        },
        contact: stored.contact.map(|contact| Contact {
            phone: contact.phone.map(str::to_owned),
            wa_id: contact.wa_id.map(str::to_owned),
            user_id: contact.user_id.map(str::to_owned),
            parent_user_id: contact.parent_user_id.map(str::to_owned),
            username: contact.username.map(str::to_owned),
            name: contact.name.map(str::to_owned),
            aliases: Vec::new(),
        }),
        group: stored.group.map(str::to_owned),
        via: match stored.via {
            0 => None,
            1 => Some(Via::Standby),
            2 => Some(Via::History),
            _ => return Err(Unreadable("way of a record")),
        },
        field: stored.field.to_owned(),
        reason: stored.reason.to_owned(),
        raw: stored.raw.to_vec(),
    };
    Ok(Arc::new(Record {
        sequence,
        received_at: WallTime(stored.received_ms),
        contact_id,
        replayed: false,
        item,
    }))
}

/// The parts of a stored record that replay needs: what makes it the same as another, and what it
/// taught the box.
pub(crate) fn identity(bytes: &[u8]) -> Result<(&str, &str, Lesson), Unreadable> {
    let stored = parse(bytes)?;
    let lesson = stored.contact.map_or_else(Lesson::default, |contact| Lesson {
        contact: contact.id,
        learned: contact.learned,
        joined: contact.joined,
    });
    Ok((stored.source, stored.id, lesson))
}

fn parse(bytes: &[u8]) -> Result<RecordV1<'_>, Unreadable> {
    match bytes.split_first() {
        Some((&VERSION, body)) => match postcard::take_from_bytes(body) {
            Ok((stored, [])) => Ok(stored),
            _ => Err(Unreadable("a record")),
        },
        _ => Err(Unreadable("version of a record")),
    }
}

const fn kind_number(kind: Kind) -> u8 {
    match kind {
        Kind::MessageReceived => 1,
        Kind::MessageStatus => 2,
        Kind::MessageSent => 3,
        Kind::MessageEcho => 4,
        Kind::AccountEvent => 5,
        Kind::Unknown => 6,
        Kind::MessageUnread => 7,
        Kind::EndpointChanged => 8,
    }
}

fn number_kind(number: u8) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| kind_number(*kind) == number)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn sample_item() -> Item {
        Item {
            kind: Kind::MessageReceived,
            source: "/wagate/106540352242922".into(),
            id: "wamid.SAMPLE".into(),
            time: Some(WallTime(1_795_214_595_000)),
            account: Account {
                waba_id: Some("1029".into()),
                phone_number_id: Some("106540352242922".into()),
                phone: Some("+85291234567".into()),
            },
            contact: Some(Contact {
                phone: Some("+85261234567".into()),
                wa_id: Some("85261234567".into()),
                user_id: Some("HK.1".into()),
                parent_user_id: None,
                username: None,
                name: Some("Chan Tai Man".into()),
                aliases: Vec::new(),
            }),
            group: None,
            via: None,
            field: "messages".into(),
            reason: String::new(),
            raw: br#"{"type":"text"}"#.to_vec(),
        }
    }

    #[test]
    fn a_record_survives_its_bytes() {
        let item = sample_item();
        let lesson = Lesson { contact: 77, learned: vec![[1; 16]], joined: vec![78] };
        let bytes = to_bytes(&item, WallTime(5), &lesson);
        let record = from_bytes(Sequence(9), &bytes).unwrap();
        assert_eq!(record.item, item);
        assert_eq!(record.contact_id, Some(ContactId::from_bits(77)));
        assert_eq!((record.sequence, record.received_at), (Sequence(9), WallTime(5)));
        assert_eq!(identity(&bytes).unwrap(), (item.source.as_str(), item.id.as_str(), lesson));
    }

    #[test]
    fn cut_or_lengthened_bytes_are_unreadable_and_never_panic() {
        let bytes = to_bytes(&sample_item(), WallTime(5), &Lesson::default());
        for end in 0..bytes.len() {
            assert!(from_bytes(Sequence(1), &bytes[..end]).is_err(), "{end}");
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert!(from_bytes(Sequence(1), &longer).is_err());
    }
}
