//! An OCSP answer (RFC 6960) that is shown beside the certificate, so that a client needn't ask for one. The box only
//! hands on what stands in a file: whoever renews the certificate fetches it.

use std::path::Path;

use model::WallTime;

use super::files;
use super::validity::{SEQUENCE, element, expect, instant};

const OCTET_STRING: u8 = 0x04;
const OID: u8 = 0x06;
const ENUMERATED: u8 = 0x0A;
/// `[0] EXPLICIT`: the answer's bytes, its version, the time of its end.
const FIRST: u8 = 0xA0;
/// `good [0] IMPLICIT NULL`
const GOOD: u8 = 0x80;

/// An answer that says that the certificate is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Staple {
    pub(super) der: Vec<u8>,
    /// `nextUpdate`: after that it says nothing any more.
    pub(super) ends: WallTime,
}

/// Reads a file in DER.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn read(path: &Path) -> Result<Staple, String> {
    let der = files::read(path).map_err(|error| error.to_string())?;
    let told = |why: &str| format!("{} {why}", path.display());
    let (status, ends) = look(&der).ok_or_else(|| told("holds no OCSP answer in DER with an end"))?;
    if status == GOOD {
        Ok(Staple { der, ends })
    } else {
        Err(told("doesn't say that the certificate is good"))
    }
}

/// What the first of its statements says, and until when.
fn look(der: &[u8]) -> Option<(u8, WallTime)> {
    let (answer, _) = expect(SEQUENCE, der)?;
    let (status, rest) = expect(ENUMERATED, answer)?;
    let (bytes, _) = expect(FIRST, rest)?;
    let (bytes, _) = expect(SEQUENCE, bytes)?;
    let (_kind, rest) = expect(OID, bytes)?;
    let (basic, _) = expect(OCTET_STRING, rest)?;
    let (basic, _) = expect(SEQUENCE, basic)?;
    let (mut data, _) = expect(SEQUENCE, basic)?;
    if let Some((_version, rest)) = expect(FIRST, data) {
        data = rest;
    }
    let (_who, rest) = element(data)?;
    let (_when, rest) = element(rest)?;
    let (statements, _) = expect(SEQUENCE, rest)?;
    let (first, _) = expect(SEQUENCE, statements)?;
    let (_certificate, rest) = element(first)?;
    let ((said, _), rest) = element(rest)?;
    let (_since, rest) = element(rest)?;
    let (end, _) = expect(FIRST, rest)?;
    let ((tag, text), _) = element(end)?;
    let ends = instant(tag, std::str::from_utf8(text).ok()?)?;
    (status == [0]).then_some((said, ends))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x82][..], &length, content].concat()
    }

    fn answer(status: u8, said: u8, end: Option<&str>) -> Vec<u8> {
        let time = |text: &str| wrap(0x18, text.as_bytes());
        let end = end.map_or(Vec::new(), |end| wrap(FIRST, &time(end)));
        let one = [wrap(SEQUENCE, b""), wrap(said, b""), time("20261121000000Z"), end].concat();
        let statements = wrap(SEQUENCE, &wrap(SEQUENCE, &one));
        let data = [wrap(0xA2, b"who"), time("20261121000000Z"), statements].concat();
        let basic = wrap(SEQUENCE, &wrap(SEQUENCE, &data));
        let bytes = wrap(SEQUENCE, &[wrap(OID, b"basic"), wrap(OCTET_STRING, &basic)].concat());
        wrap(SEQUENCE, &[wrap(ENUMERATED, &[status]), wrap(FIRST, &bytes)].concat())
    }

    #[test]
    fn an_answer_says_what_it_says_until_its_end() {
        let ends = WallTime::from_seconds(1_795_910_400);
        assert_eq!(look(&answer(0, GOOD, Some("20261129000000Z"))), Some((GOOD, ends)));
        assert_eq!(look(&answer(0, 0xA1, Some("20261129000000Z"))), Some((0xA1, ends)), "revoked");
        assert_eq!(look(&answer(3, GOOD, Some("20261129000000Z"))), None, "try later");
        assert_eq!(look(&answer(0, GOOD, None)), None, "without an end");
        assert_eq!(look(b"-----BEGIN"), None);
    }

    proptest! {
        #[test]
        fn a_mangled_answer_never_panics(cut in 0_usize..200, place in 0_usize..200, byte: u8) {
            let mut der = answer(0, GOOD, Some("20261129000000Z"));
            let place = place % der.len();
            der[place] = byte;
            der.truncate(cut);
            let _ = look(&der);
        }
    }
}
