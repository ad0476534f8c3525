//! Until when a certificate is valid, and whether it vouches for itself.

use jiff::civil::DateTime;
use model::WallTime;

pub(super) const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0] EXPLICIT Version`, absent in version 1.
const VERSION: u8 = 0xA0;

/// Reads `notAfter` of a certificate in DER: RFC 5280 section 4.1, as far as that field. `None`
/// where it isn't one. 9999-12-31 means no end.
#[must_use]
pub fn not_after(certificate: &[u8]) -> Option<WallTime> {
    validity(certificate).map(|[_, end]| end)
}

/// Reads `notBefore` and `notAfter` likewise.
#[must_use]
pub fn validity(certificate: &[u8]) -> Option<[WallTime; 2]> {
    let (validity, _) = expect(SEQUENCE, issued(certificate)?.rest)?;
    let (begins, rest) = time(validity)?;
    Some([begins, time(rest)?.0])
}

fn time(der: &[u8]) -> Option<(WallTime, &[u8])> {
    let ((tag, text), rest) = element(der)?;
    Some((instant(tag, std::str::from_utf8(text).ok()?)?, rest))
}

/// Whether a certificate in DER names itself as the one that vouches for it. `None` where it isn't one.
#[must_use]
pub fn is_self_issued(certificate: &[u8]) -> Option<bool> {
    let Issued { issuer, rest, .. } = issued(certificate)?;
    let (_validity, rest) = element(rest)?;
    let (subject, _) = expect(SEQUENCE, rest)?;
    Some(issuer == subject)
}

/// Number and issuer of a certificate, and the fields behind: validity, subject, ...
pub(super) struct Issued<'a> {
    pub(super) serial: &'a [u8],
    pub(super) issuer: &'a [u8],
    pub(super) rest: &'a [u8],
}

pub(super) fn issued(certificate: &[u8]) -> Option<Issued<'_>> {
    let (certificate, _) = expect(SEQUENCE, certificate)?;
    let (mut fields, _) = expect(SEQUENCE, certificate)?;
    if let Some((_, rest)) = expect(VERSION, fields) {
        fields = rest;
    }
    let ((_, serial), rest) = element(fields)?;
    let (_algorithm, rest) = element(rest)?;
    let (issuer, rest) = expect(SEQUENCE, rest)?;
    Some(Issued { serial, issuer, rest })
}

/// A DER element's tag and content, and what follows it.
pub(super) type Element<'a> = ((u8, &'a [u8]), &'a [u8]);

pub(super) fn element(der: &[u8]) -> Option<Element<'_>> {
    let [tag, length, rest @ ..] = der else { return None };
    let (length, rest) = match *length {
        short @ 0..0x80 => (usize::from(short), rest),
        long => {
            // More than three bytes of length would be past every certificate.
            let (digits, rest) = rest.split_at_checked(usize::from(long & 0x7F).min(4))?;
            if digits.is_empty() || digits.len() > 3 {
                return None;
            }
            (digits.iter().fold(0, |sum, digit| (sum << 8) | usize::from(*digit)), rest)
        }
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some(((*tag, content), rest))
}

pub(super) fn expect(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let ((found, content), rest) = element(der)?;
    (found == tag).then_some((content, rest))
}

/// `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ`.
pub(super) fn instant(tag: u8, text: &str) -> Option<WallTime> {
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = number(text, 2)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => number(text, 4)?,
        _ => return None,
    };
    let (month, rest) = number(rest, 2)?;
    let (day, rest) = number(rest, 2)?;
    let (hour, rest) = number(rest, 2)?;
    let (minute, rest) = number(rest, 2)?;
    let (second, rest) = number(rest, 2)?;
    if rest != "Z" {
        return None;
    }
    let small = |number: i16| i8::try_from(number).ok();
    let time =
        DateTime::new(year, small(month)?, small(day)?, small(hour)?, small(minute)?, small(second)?, 0)
            .ok()?;
    // Reaches days past the last instant of [`jiff::Timestamp`], which 9999-12-31 is.
    let since_1970 = time.duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0));
    Some(WallTime(since_1970.as_secs().checked_mul(1000)?))
}

fn number(text: &str, digits: usize) -> Option<(i16, &str)> {
    let (number, rest) = text.split_at_checked(digits)?;
    let all_digits = number.bytes().all(|byte| byte.is_ascii_digit());
    Some((number.parse().ok().filter(|_| all_digits)?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn certificate(year: i32, month: u8, day: u8) -> Vec<u8> {
        let mut parameters = rcgen::CertificateParams::new(vec!["box.example.com".to_owned()]).unwrap();
        parameters.not_after = rcgen::date_time_ymd(year, month, day);
        parameters.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn both_forms_of_time_are_read() {
        for (year, month, day, written) in [
            (1999, 12, 31, "1999-12-31T00:00:00Z"),
            (2027, 2, 28, "2027-02-28T00:00:00Z"),
            (2049, 12, 31, "2049-12-31T00:00:00Z"),
            (2050, 1, 1, "2050-01-01T00:00:00Z"),
            (2124, 2, 29, "2124-02-29T00:00:00Z"),
        ] {
            let read = not_after(&certificate(year, month, day)).unwrap();
            assert_eq!(read.rfc3339_seconds(), written);
        }
        let endless = not_after(&certificate(9999, 12, 31)).unwrap();
        assert_eq!(endless, WallTime::from_seconds(253_402_214_400), "9999-12-31T00:00:00Z");
    }

    #[test]
    fn who_vouches_for_itself_is_told_from_who_does_not() {
        let key = rcgen::KeyPair::generate().unwrap();
        let named = |name: &str| {
            let mut parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
            parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
            parameters
        };
        assert_eq!(is_self_issued(named("box").self_signed(&key).unwrap().der()), Some(true));
        let authority = rcgen::Issuer::new(named("authority"), rcgen::KeyPair::generate().unwrap());
        assert_eq!(is_self_issued(named("box").signed_by(&key, &authority).unwrap().der()), Some(false));
        assert_eq!(is_self_issued(b"no certificate"), None);
    }

    #[test]
    fn times_that_rfc_5280_forbids_are_none() {
        for text in ["2702280000Z", "270228000000", "270228000000+0100", "+70228000000Z", "271328000000Z"] {
            assert_eq!(instant(UTC_TIME, text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_mangled_certificate_never_panics(cut in 0_usize..400, place in 0_usize..400, byte: u8) {
            let mut der = certificate(2027, 1, 1);
            let place = place % der.len();
            der[place] = byte;
            der.truncate(cut);
            let _ = (not_after(&der), is_self_issued(&der));
        }

        #[test]
        fn any_bytes_never_panic(der in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = not_after(&der);
        }
    }
}
