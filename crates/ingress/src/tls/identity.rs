//! What an authority knows a certificate by: RFC 9773, section 4.1.

use super::validity::{SEQUENCE, element, expect, issued};

/// `[3] EXPLICIT Extensions`
const EXTENSIONS: u8 = 0xA3;
const OBJECT_IDENTIFIER: u8 = 0x06;
const OCTET_STRING: u8 = 0x04;
/// `[0] IMPLICIT KeyIdentifier`
const KEY_IDENTIFIER: u8 = 0x80;
/// 2.5.29.35, `id-ce-authorityKeyIdentifier`
const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1D, 0x23];

/// The two parts, each as the certificate has them in DER, without tag and length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthorityAndSerial<'a> {
    /// `keyIdentifier` of the authority.
    pub authority: &'a [u8],
    /// The serial number: big-endian, with the zero in front that DER gives to a number whose first bit is set.
    pub serial: &'a [u8],
}

/// Reads both from a certificate in DER. `None` where it is none, or doesn't say whose key has signed it.
#[must_use]
pub fn authority_and_serial(certificate: &[u8]) -> Option<AuthorityAndSerial<'_>> {
    let issued = issued(certificate)?;
    let mut rest = issued.rest;
    let (mut extensions, _) = loop {
        let ((tag, content), behind) = element(rest)?;
        if tag == EXTENSIONS {
            break expect(SEQUENCE, content)?;
        }
        rest = behind;
    };
    while !extensions.is_empty() {
        let (extension, behind) = expect(SEQUENCE, extensions)?;
        extensions = behind;
        let (name, mut rest) = expect(OBJECT_IDENTIFIER, extension)?;
        if name != AUTHORITY_KEY_IDENTIFIER {
            continue;
        }
        // A mark that it's critical may stand before the value.
        let value = loop {
            let ((tag, content), behind) = element(rest)?;
            if tag == OCTET_STRING {
                break content;
            }
            rest = behind;
        };
        let (names, _) = expect(SEQUENCE, value)?;
        let (authority, _) = expect(KEY_IDENTIFIER, names)?;
        return Some(AuthorityAndSerial { authority, serial: issued.serial });
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, Issuer, KeyIdMethod, KeyPair, SerialNumber};

    use super::*;

    fn certificate(serial: &[u8], authority: Option<&[u8]>) -> Vec<u8> {
        let named = || CertificateParams::new(vec!["box.example.com".to_owned()]).unwrap();
        let (key, mut above, mut own) = (KeyPair::generate().unwrap(), named(), named());
        above.key_identifier_method = KeyIdMethod::PreSpecified(authority.unwrap_or_default().to_vec());
        own.serial_number = Some(SerialNumber::from_slice(serial));
        own.use_authority_key_identifier_extension = authority.is_some();
        let issuer = Issuer::new(above, KeyPair::generate().unwrap());
        own.signed_by(&key, &issuer).unwrap().der().to_vec()
    }

    #[test]
    fn the_example_of_rfc_9773_is_read() {
        // Section 4.1: authority 69:88:5B:.., serial 00:87:65:43:21.
        let authority = [
            0x69, 0x88, 0x5B, 0x6B, 0x87, 0x46, 0x40, 0x41, 0xE1, 0xB3, 0x7B, 0x84, 0x7B, 0xA0, 0xAE, 0x2C,
            0xDE, 0x01, 0xC8, 0xD4,
        ];
        let der = certificate(&[0x87, 0x65, 0x43, 0x21], Some(&authority));
        let read = authority_and_serial(&der).unwrap();
        assert_eq!(read, AuthorityAndSerial { authority: &authority, serial: &[0, 0x87, 0x65, 0x43, 0x21] });
    }

    #[test]
    fn who_does_not_say_whose_key_it_is_cannot_be_asked_about() {
        assert_eq!(authority_and_serial(&certificate(&[1], None)), None);
        assert_eq!(authority_and_serial(b"no certificate"), None);
    }

    proptest! {
        #[test]
        fn a_mangled_certificate_never_panics(cut in 0_usize..700, place in 0_usize..700, byte: u8) {
            let mut der = certificate(&[7], Some(&[9; 20]));
            let place = place % der.len();
            der[place] = byte;
            der.truncate(cut);
            let _ = authority_and_serial(&der);
        }
    }
}
