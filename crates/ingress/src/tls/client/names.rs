//! Whose certificate it is, and who vouches for it: RFC 5280 section 4.1, as far as the names.

use crate::tls::validity::{Issued, SEQUENCE, element, expect, issued};

const SET: u8 = 0x31;
const OID: u8 = 0x06;
const OCTET_STRING: u8 = 0x04;
/// `[3] EXPLICIT Extensions` of a certificate.
const EXTENSIONS: u8 = 0xA3;
/// `dNSName [2] IA5String` of a GeneralName.
const DNS_NAME: u8 = 0x82;
/// 2.5.29.17
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1D, 0x11];
/// 2.5.4.3, 2.5.4.10, 2.5.4.11: what a name is called by, the best first.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ORGANISATION: &[u8] = &[0x55, 0x04, 0x0A];
const UNIT: &[u8] = &[0x55, 0x04, 0x0B];
/// Characters of an issuer's name that are told.
const TOLD: usize = 64;

/// Whether a certificate in DER is for `name`: one of its `dNSName`s, or, where it has no alternative names at all,
/// its common name. Letters of either case; no wildcards, since whoever asks knows the whole name.
pub(super) fn bears(certificate: &[u8], name: &str) -> bool {
    let is = |text: &[u8]| text.eq_ignore_ascii_case(name.as_bytes());
    let Some(subject) = subject(certificate) else { return false };
    match extension(subject.rest, SUBJECT_ALT_NAME) {
        Some(names) => {
            let Some((names, _)) = expect(SEQUENCE, names) else { return false };
            elements(names).any(|(tag, text)| tag == DNS_NAME && is(text))
        }
        None => values(subject.name, COMMON_NAME).any(is),
    }
}

/// What the issuer of a certificate in DER is called, in a few harmless characters.
pub(super) fn issuer(certificate: &[u8]) -> String {
    let name = issued(certificate).map_or(&[][..], |issued| issued.issuer);
    told(name)
}

/// What the subject of a certificate in DER is called, in a few harmless characters.
pub(super) fn called(certificate: &[u8]) -> String {
    told(subject(certificate).map_or(&[], |subject| subject.name))
}

fn told(name: &[u8]) -> String {
    let best = [COMMON_NAME, ORGANISATION, UNIT].into_iter().find_map(|kind| values(name, kind).next());
    let plain = |byte: u8| if byte.is_ascii_graphic() || byte == b' ' { char::from(byte) } else { '?' };
    let text: String = best.unwrap_or_default().iter().take(TOLD).map(|byte| plain(*byte)).collect();
    if text.trim().is_empty() { "without a name".to_owned() } else { text }
}

struct Subject<'a> {
    name: &'a [u8],
    /// What follows it: the key, then optional fields.
    rest: &'a [u8],
}

fn subject(certificate: &[u8]) -> Option<Subject<'_>> {
    let Issued { rest, .. } = issued(certificate)?;
    let (_validity, rest) = element(rest)?;
    let (name, rest) = expect(SEQUENCE, rest)?;
    Some(Subject { name, rest })
}

/// The elements of a sequence's content, up to the first that is none.
fn elements(mut der: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (one, rest) = element(der)?;
        der = rest;
        Some(one)
    })
}

/// The values of one kind in a name.
fn values<'a>(name: &'a [u8], kind: &'static [u8]) -> impl Iterator<Item = &'a [u8]> {
    let attributes = elements(name).filter(|(tag, _)| *tag == SET).flat_map(|(_, set)| elements(set));
    attributes.filter_map(move |(_, attribute)| {
        let (oid, rest) = expect(OID, attribute)?;
        (oid == kind).then_some(element(rest)?.0.1)
    })
}

/// The content of an extension, which is DER again.
fn extension<'a>(fields: &'a [u8], kind: &[u8]) -> Option<&'a [u8]> {
    let (_, list) = elements(fields).find(|(tag, _)| *tag == EXTENSIONS)?;
    let (list, _) = expect(SEQUENCE, list)?;
    elements(list).find_map(|(_, one)| {
        let (oid, rest) = expect(OID, one)?;
        // Before the content there may stand whether it is critical.
        let content = elements(rest).find(|(tag, _)| *tag == OCTET_STRING)?;
        (oid == kind).then_some(content.1)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    const NAME: &str = "client.webhooks.fbclientcerts.com";

    fn certificate(common: Option<&str>, others: Vec<SanType>) -> Vec<u8> {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters.distinguished_name.push(DnType::OrganizationName, "Meta Platforms");
        if let Some(common) = common {
            parameters.distinguished_name.push(DnType::CommonName, common);
        }
        parameters.subject_alt_names = others;
        parameters.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    fn dns(name: &str) -> SanType {
        SanType::DnsName(name.try_into().unwrap())
    }

    #[test]
    fn the_alternative_names_count_and_the_common_name_only_without_them() {
        let address = || SanType::IpAddress("203.0.113.9".parse().unwrap());
        for (certificate, right) in [
            (certificate(Some(NAME), vec![]), true),
            (certificate(Some("CLIENT.Webhooks.fbclientcerts.com"), vec![]), true),
            (certificate(Some("other"), vec![dns("first.example"), dns(NAME)]), true),
            (certificate(None, vec![dns(NAME)]), true),
            (certificate(Some(NAME), vec![dns("other.example")]), false),
            (certificate(Some(NAME), vec![address()]), false),
            (certificate(Some("client.webhooks.fbclientcerts.com.example"), vec![]), false),
            (certificate(None, vec![dns("*.webhooks.fbclientcerts.com")]), false),
            (certificate(None, vec![SanType::Rfc822Name(NAME.try_into().unwrap())]), false),
            (certificate(None, vec![]), false),
            (b"no certificate".to_vec(), false),
        ] {
            assert_eq!(bears(&certificate, NAME), right, "{:?}", called(&certificate));
        }
    }

    #[test]
    fn an_issuer_is_told_in_harmless_characters() {
        assert_eq!(issuer(&certificate(Some(NAME), vec![])), NAME);
        assert_eq!(issuer(&certificate(None, vec![])), "Meta Platforms");
        assert_eq!(issuer(&certificate(Some("a\n\u{1b}[31m\"b"), vec![])), "a??[31m\"b");
        assert_eq!(issuer(&certificate(Some(&"x".repeat(500)), vec![])).len(), TOLD);
        assert_eq!(issuer(b"none"), "without a name");
    }

    proptest! {
        #[test]
        fn a_mangled_certificate_never_panics(cut in 0_usize..500, place in 0_usize..500, byte: u8) {
            let mut der = certificate(Some(NAME), vec![dns(NAME), dns("other.example")]);
            let place = place % der.len();
            der[place] = byte;
            der.truncate(cut);
            let _ = (bears(&der, NAME), issuer(&der), called(&der));
        }
    }
}
