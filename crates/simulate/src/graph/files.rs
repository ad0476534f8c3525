//! Files at Meta: what the store uploaded and what customers sent, kept byte for byte.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::random::mix;

/// Files that are kept, the newest.
pub const FILES_MAX: usize = 1_000;
/// Bytes that these may take, unless one alone is larger.
pub const FILES_BYTES_MAX: usize = 256 * 1024 * 1024;
/// How long the URL of a file is good, in seconds: 5 minutes, as Meta's.
const URL_LIVES_S: i64 = 5 * 60;

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) mime: String,
    pub(crate) bytes: Bytes,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Files {
    by_id: HashMap<String, File>,
    oldest: VecDeque<String>,
    bytes: usize,
}

impl Files {
    /// Keeps a file, and gives up the oldest where there are too many.
    pub(crate) fn put(&mut self, id: &str, file: File) {
        self.bytes += file.bytes.len();
        self.oldest.push_back(id.to_owned());
        if let Some(same) = self.by_id.insert(id.to_owned(), file) {
            self.bytes -= same.bytes.len();
            self.oldest.retain({
                let mut copies = 0;
                move |known| {
                    copies += usize::from(known == id);
                    known != id || copies > 1
                }
            });
        }
        while self.oldest.len() > 1 && (self.oldest.len() > FILES_MAX || self.bytes > FILES_BYTES_MAX) {
            let gone = self.oldest.pop_front().and_then(|id| self.by_id.remove(&id));
            self.bytes -= gone.map_or(0, |file| file.bytes.len());
        }
    }

    pub(crate) fn get(&self, id: &str) -> Option<&File> {
        self.by_id.get(id)
    }

    /// The answer to `GET /{id}`.
    pub(crate) fn about(&self, id: &str, media_base: &str, now_s: i64) -> Option<Value> {
        let file = self.get(id)?;
        let ends_s = now_s + URL_LIVES_S;
        let hash = hash(id, ends_s);
        let sha256 = digest(&SHA256, &file.bytes);
        let sha256: String = sha256.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Some(json!({
            "messaging_product": "whatsapp",
            "url": format!("{media_base}/whatsapp_business/attachments/?mid={id}&ext={ends_s}&hash={hash}"),
            "mime_type": file.mime,
            "sha256": sha256,
            "file_size": file.bytes.len(),
            "id": id,
        }))
    }

    /// What such a URL leads to, while it is good.
    pub(crate) fn behind(&self, id: &str, ends: &str, hash_of_it: &str, now_s: i64) -> Option<&File> {
        let ends_s: i64 = ends.parse().ok()?;
        self.get(id).filter(|_| hash_of_it == hash(id, ends_s) && now_s <= ends_s)
    }
}

/// Enough to see that nobody changed the URL; nothing here is secret.
fn hash(id: &str, ends_s: i64) -> String {
    let text = id.bytes().fold(ends_s.unsigned_abs(), |hash, byte| mix(hash ^ u64::from(byte)));
    format!("{text:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: &'static [u8]) -> File {
        File { mime: "image/png".into(), bytes: Bytes::from_static(bytes) }
    }

    #[test]
    fn a_url_leads_to_the_file_for_five_minutes_and_only_as_it_was_given() {
        let mut files = Files::default();
        files.put("1", file(b"abc"));
        let about = files.about("1", "http://host", 1_000).unwrap();
        // RFC 6234's own example.
        assert_eq!(about["sha256"], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(about["file_size"], 3);
        let hash = hash("1", 1_300);
        let url = about["url"].as_str().unwrap();
        assert_eq!(url, format!("http://host/whatsapp_business/attachments/?mid=1&ext=1300&hash={hash}"));
        assert_eq!(&files.behind("1", "1300", &hash, 1_300).unwrap().bytes[..], b"abc");
        assert!(files.behind("1", "1300", &hash, 1_301).is_none());
        assert!(files.behind("1", "1301", &hash, 1_300).is_none());
        assert!(files.behind("2", "1300", &hash, 1_300).is_none());
        assert!(files.about("2", "http://host", 0).is_none());
    }

    #[test]
    fn the_oldest_go_where_there_are_too_many() {
        let mut files = Files::default();
        for number in 0..=FILES_MAX {
            files.put(&number.to_string(), file(b"a"));
        }
        assert!(files.get("0").is_none() && files.get("1").is_some());
        assert_eq!((files.by_id.len(), files.bytes), (FILES_MAX, FILES_MAX));
        files.put("1", file(b"abc"));
        assert_eq!(
            (files.by_id.len(), files.oldest.len(), files.bytes),
            (FILES_MAX, FILES_MAX, FILES_MAX + 2)
        );
        assert_eq!(files.oldest.back().map(String::as_str), Some("1"));
    }
}
