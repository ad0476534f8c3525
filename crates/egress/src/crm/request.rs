//! What a request holds.

use std::io::Write as _;

use model::Record;

use super::SigningSecrets;

/// The media type of one record.
pub const SINGLE: &str = "application/cloudevents+json";
/// The media type of several records, a JSON array.
pub const BATCH: &str = "application/cloudevents-batch+json";
/// The longest id that travels in a header as it is; servers commonly refuse headers of 8 KiB.
pub const HEADERS_ID_MAX: usize = 1_024;

/// One request to the CRM, ready but for its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// `webhook-id` and `Idempotency-Key`: the record's id, or a hash over those of a batch.
    pub id: String,
    /// [`SINGLE`] or [`BATCH`].
    pub content_type: &'static str,
    /// The rendered record, or an array of them.
    pub body: Vec<u8>,
}

impl Outgoing {
    /// Puts records, rendered by `render`, into one request; there's at least one.
    pub fn new<'a>(
        records: impl ExactSizeIterator<Item = &'a Record>,
        render: impl Fn(&Record) -> Vec<u8>,
    ) -> Self {
        if records.len() == 1 {
            let mut single = Self { id: String::new(), content_type: SINGLE, body: Vec::new() };
            for record in records {
                single.id = header_form(&record.item.id);
                single.body = render(record);
            }
            return single;
        }
        let mut ids = ring::digest::Context::new(&ring::digest::SHA256);
        let mut body = vec![b'['];
        for (place, record) in records.enumerate() {
            if place > 0 {
                body.push(b',');
            }
            body.extend_from_slice(&render(record));
            ids.update(record.item.id.as_bytes());
            ids.update(b"\n");
        }
        body.push(b']');
        Self { id: hex(ids.finish().as_ref()), content_type: BATCH, body }
    }

    /// The head of the request at `timestamp` (seconds since 1970), signed with the secrets in
    /// force: `start`, which is its first lines, then the headers of this request and the empty
    /// line.
    #[must_use]
    pub fn head(&self, start: &[u8], timestamp: i64, secrets: &SigningSecrets) -> Vec<u8> {
        let mut head = Vec::with_capacity(start.len() + 2 * self.id.len() + HEAD_BYTES);
        head.extend_from_slice(start);
        let (content_type, id, length) = (self.content_type, &self.id, self.body.len());
        // Ids are made fit for headers, and the rest is ASCII of our own. Memory takes all bytes.
        let _ = write!(
            head,
            "content-type: {content_type}\r\nwebhook-id: {id}\r\nidempotency-key: {id}\r\nwebhook-timestamp: \
             {timestamp}\r\ncontent-length: {length}\r\n"
        );
        secrets.sign(id, timestamp, &self.body, |place, signature| {
            let before: &[u8] = if place == 0 { b"webhook-signature: " } else { b" " };
            head.extend_from_slice(before);
            head.extend_from_slice(signature.as_bytes());
        });
        if head.ends_with(b"\r\n") {
            head.extend_from_slice(b"\r\n");
        } else {
            head.extend_from_slice(b"\r\n\r\n");
        }
        head
    }
}

/// What the headers of a request take besides the id, with one signature.
const HEAD_BYTES: usize = 256;

/// The id as a header can carry it: what isn't visible ASCII is percent-encoded, and what is too
/// long then is hashed. Ids of the contract's shape stay as they are.
fn header_form(id: &str) -> String {
    if id.len() <= HEADERS_ID_MAX && id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return id.to_owned();
    }
    let mut form = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_graphic() {
            form.push(char::from(byte));
        } else {
            form.push_str(&format!("%{byte:02X}"));
        }
    }
    if form.len() > HEADERS_ID_MAX {
        form = hex(ring::digest::digest(&ring::digest::SHA256, id.as_bytes()).as_ref());
    }
    form
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use model::{Account, Item, Kind, Sequence, WallTime};

    use super::*;

    fn record(id: &str) -> Record {
        Record {
            sequence: Sequence(1),
            received_at: WallTime(0),
            contact_id: None,
            replayed: false,
            item: Item {
                kind: Kind::AccountEvent,
                source: "/wagate".to_owned(),
                id: id.to_owned(),
                time: None,
                account: Account::default(),
                contact: None,
                group: None,
                via: None,
                field: String::new(),
                reason: String::new(),
                raw: Vec::new(),
            },
        }
    }

    fn outgoing(ids: &[&str]) -> Outgoing {
        let records: Vec<_> = ids.iter().map(|id| record(id)).collect();
        Outgoing::new(records.iter(), |record| format!("\"{}\"", record.item.id).into_bytes())
    }

    #[test]
    fn one_record_stands_alone_and_several_in_an_array() {
        let one = outgoing(&["wamid.A=="]);
        assert_eq!((one.content_type, one.id.as_str()), (SINGLE, "wamid.A=="));
        assert_eq!(one.body, b"\"wamid.A==\"");
        let two = outgoing(&["a", "b"]);
        assert_eq!((two.content_type, &two.body[..]), (BATCH, br#"["a","b"]"#.as_slice()));
        assert_eq!(two.id.len(), 64);
        assert_eq!(two.id, outgoing(&["a", "b"]).id, "the same batch has the same id");
        assert_ne!(two.id, outgoing(&["b", "a"]).id);
        assert_ne!(outgoing(&["ab", "c"]).id, outgoing(&["a", "bc"]).id);
    }

    #[test]
    fn every_id_fits_into_a_header() {
        let secrets = SigningSecrets::default();
        let long = "x".repeat(HEADERS_ID_MAX + 1);
        for (id, form) in [
            ("wamid.HBg+/=:read", "wamid.HBg+/=:read"),
            ("w:r\r\nX-Evil: 1", "w:r%0D%0AX-Evil:%201"),
            ("w:\u{e9}\0", "w:%C3%A9%00"),
            ("", ""),
            (&long, &hex(ring::digest::digest(&ring::digest::SHA256, long.as_bytes()).as_ref())),
        ] {
            let head = String::from_utf8(outgoing(&[id]).head(b"POST / HTTP/1.1\r\n", 1, &secrets)).unwrap();
            let length = id.len() + 2;
            let expected = format!(
                "POST / HTTP/1.1\r\ncontent-type: {SINGLE}\r\nwebhook-id: {form}\r\nidempotency-key: {form}\r\n\
                 webhook-timestamp: 1\r\ncontent-length: {length}\r\n\r\n"
            );
            assert_eq!(head, expected, "unsigned without a secret");
        }
    }
}
