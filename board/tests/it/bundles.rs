//! Bundles: what is taken, what is refused and with which code, and the one that must stay readable.

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use semver::Version;
use wagate_board::bundle::{Head, assemble};
use wagate_board::keys::{Signature, TrustedKey, TrustedKeys};
use wagate_board::manifest::{Here, MANIFEST_MAX};
use wagate_board::{Code, Manifest};

use crate::common::*;

fn read(bundle: &[u8], keys: &TrustedKeys) -> Result<Manifest, Code> {
    Head::read(&mut &bundle[..]).and_then(|head| head.verify(keys)).map_err(|error| error.code)
}

fn signed_json(json: &str) -> Result<Manifest, Code> {
    read(&assemble(json.as_bytes(), &[sign(json.as_bytes(), 1)], b""), &keys(&[1]))
}

#[test]
fn a_bundle_of_either_trusted_key_is_taken_and_of_no_other() {
    let manifest = serde_json::to_vec(&manifest("0.2.0", b"slot")).unwrap();
    let of = |signatures: &[Signature]| assemble(&manifest, signatures, b"slot");
    let trusted = keys(&[1, 2]);
    for good in [
        of(&[sign(&manifest, 1)]),
        of(&[sign(&manifest, 2)]),
        of(&[sign(&manifest, 9), sign(&manifest, 2)]),
        // Anybody could add a wrong one.
        of(&[Signature { key: sign(&manifest, 1).key, signature: "AA==".to_owned() }, sign(&manifest, 2)]),
    ] {
        assert_eq!(read(&good, &trusted).unwrap().version, Version::new(0, 2, 0));
    }
    assert_eq!(read(&of(&[sign(&manifest, 9)]), &trusted), Err(Code::UnknownKey));
    assert_eq!(read(&of(&[]), &trusted), Err(Code::UnknownKey));
    assert_eq!(read(&of(&[sign(&manifest, 1)]), &TrustedKeys::default()), Err(Code::UnknownKey));
    // Another key's signature under the name of a trusted one.
    let forged = Signature { key: sign(&manifest, 1).key, signature: sign(&manifest, 9).signature };
    assert_eq!(read(&of(&[forged]), &trusted), Err(Code::BadSignature));
    // Signed, but not as a bundle's manifest.
    let plain = STANDARD.encode(pair(1).sign(&manifest));
    let plain = Signature { key: sign(&manifest, 1).key, signature: plain };
    assert_eq!(read(&of(&[plain]), &trusted), Err(Code::BadSignature));
}

#[test]
fn no_changed_manifest_is_believed() {
    let good = bundle("0.2.0", b"slot");
    let length = u32::from_le_bytes(good[12..16].try_into().unwrap()) as usize;
    for at in 20..20 + length {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert_eq!(read(&bad, &keys(&[1])), Err(Code::BadSignature), "byte {at}");
    }
}

#[test]
fn what_is_no_bundle_is_told() {
    let good = bundle("0.2.0", b"slot");
    let with = |at: usize, bytes: &[u8]| {
        let mut bundle = good.clone();
        bundle[at..at + bytes.len()].copy_from_slice(bytes);
        bundle
    };
    let head = good.len() - 4;
    for end in 0..head {
        assert_eq!(read(&good[..end], &keys(&[1])), Err(Code::NotABundle), "{end} bytes of {head}");
    }
    for bad in [
        with(0, b"wagateup"),
        with(8, &[2]),
        with(12, &[1, 64]),
        with(12, &[0xFF; 4]),
        with(16, &[1, 16]),
        with(16, &[0xFF; 4]),
    ] {
        assert_eq!(read(&bad, &keys(&[1])), Err(Code::NotABundle));
    }
    let mut rest = &good[..];
    Head::read(&mut rest).unwrap();
    assert_eq!(rest, b"slot", "not a byte of the content is read with the head");
}

#[test]
fn a_manifest_has_all_its_fields_and_may_have_more() {
    let whole = serde_json::to_value(manifest("0.2.0", b"slot")).unwrap();
    let mut more = whole.clone();
    more["size_of_a_later_day"] = 7.into();
    assert!(signed_json(&more.to_string()).is_ok());
    for field in whole.as_object().unwrap().keys() {
        let mut less = whole.clone();
        less.as_object_mut().unwrap().remove(field);
        assert_eq!(signed_json(&less.to_string()), Err(Code::NotABundle), "without {field}");
    }
    for (field, value) in [
        ("layout", "2"),
        ("layout", "\"1\""),
        ("version", "\"0.2\""),
        ("version", "\"v0.2.0\""),
        ("version", &format!("\"0.2.0-{}\"", "x".repeat(64))),
        ("minimum_version", "3"),
        ("board", "\"\""),
        ("board", &format!("\"{}\"", "x".repeat(65))),
        ("slot_bytes", "0"),
        ("slot_bytes", "-1"),
        ("slot_bytes", "18446744073709551616"),
        ("slot_sha256", "\"00\""),
        ("slot_sha256", &format!("\"{}\"", "G".repeat(64))),
        ("data_format", "1.5"),
        ("built_at", "null"),
    ] {
        let mut bad = whole.clone();
        bad[field] = serde_json::from_str(value).unwrap();
        assert_eq!(signed_json(&bad.to_string()), Err(Code::NotABundle), "{field}: {value}");
    }
    let twice = whole.to_string().replacen('{', "{\"board\":\"other\",", 1);
    assert_eq!(signed_json(&twice), Err(Code::NotABundle), "a field that stands there twice");
    assert_eq!(Manifest::parse(&vec![b' '; MANIFEST_MAX + 1]).unwrap_err().code, Code::NotABundle);
}

#[test]
fn versions_go_up_only() {
    let check = |here: &str, bundle: &str, minimum: &str| {
        let mut manifest = manifest(bundle, b"slot");
        manifest.minimum_version = minimum.parse().unwrap();
        let version = here.parse().unwrap();
        manifest.check(Here { board: BOARD, version: &version, data_format: 3 }).map_err(|error| error.code)
    };
    for (here, bundle, minimum, expected) in [
        ("0.1.0", "0.2.0", "0.1.0", Ok(())),
        ("0.9.0", "0.10.0", "0.1.0", Ok(())),
        ("0.2.0-rc.1", "0.2.0", "0.1.0", Ok(())),
        ("0.2.0-rc.2", "0.2.0-rc.10", "0.1.0", Ok(())),
        ("0.2.0", "0.2.0", "0.1.0", Err(Code::Downgrade)),
        ("0.2.0", "0.2.0+build.9", "0.1.0", Err(Code::Downgrade)),
        ("0.2.0", "0.2.0-rc.1", "0.1.0", Err(Code::Downgrade)),
        ("0.10.0", "0.9.0", "0.1.0", Err(Code::Downgrade)),
        ("0.1.0", "0.3.0", "0.2.0", Err(Code::TooOldHere)),
        ("0.2.0-rc.1", "0.3.0", "0.2.0", Err(Code::TooOldHere)),
        ("0.2.0", "0.3.0", "0.2.0", Ok(())),
    ] {
        assert_eq!(check(here, bundle, minimum), expected, "{bundle} (from {minimum} on) on {here}");
    }
}

#[test]
fn other_boards_and_older_data_formats_are_refused() {
    let manifest = manifest("0.2.0", b"slot");
    let version = Version::new(0, 1, 0);
    let check = |board, data_format| {
        manifest.check(Here { board, version: &version, data_format }).map_err(|error| error.code)
    };
    assert_eq!(check("rpi4", 3), Err(Code::WrongBoard));
    assert_eq!(check(BOARD, 2), Ok(()));
    assert_eq!(check(BOARD, 4), Err(Code::DataTooNew));
}

#[test]
fn key_files_are_one_line_and_a_bad_one_costs_only_itself() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    put("1.pub", &key_file(1));
    put("2.pub", &format!("# the next one\n\n{}", key_file(2)));
    put("3.pub", "ed25519 AAAA short");
    put("4.pub", &format!("{}{}", key_file(4), key_file(5)));
    put("6.txt", &key_file(6));
    std::fs::write(folder.path().join("7.pub"), [0xFF; 9]).unwrap();
    assert_eq!(TrustedKeys::read(folder.path()).unwrap(), keys(&[1, 2]));
    assert_eq!(TrustedKeys::read(&folder.path().join("none")).unwrap_err().code, Code::Io);
    for bad in ["", "rsa AAAA x", "ed25519", "ed25519  x", &"#".repeat(5000)] {
        assert!(TrustedKey::parse(bad).is_err(), "{bad:.20}");
    }
    assert_eq!(TrustedKey::parse(&key_file(1)).unwrap().comment, "key number 1");
}

/// Made once with openssl, as `scripts/sign-update.sh` does it: never made again.
#[test]
fn a_bundle_of_layout_1_stays_readable() {
    let bundle = include_bytes!("../fixtures/v1/bundle.update");
    let key = TrustedKey::parse(include_str!("../fixtures/v1/test.pub")).unwrap();
    assert_eq!((key.id.as_str(), key.comment.as_str()), (sign(b"", 7).key.as_str(), "golden test key"));
    let keys = TrustedKeys::new([key]);
    let mut rest = &bundle[..];
    let manifest = Head::read(&mut rest).unwrap().verify(&keys).unwrap();
    let slot: Vec<u8> = (0..9000_u32).map(|at| (at % 251) as u8).collect();
    let expected = Manifest {
        minimum_version: Version::new(0, 1, 0),
        built_at: "2026-11-22T00:00:00Z".to_owned(),
        ..self::manifest("0.2.0", &slot)
    };
    assert_eq!(manifest, expected);
    let mut content = Vec::new();
    rest.read_to_end(&mut content).unwrap();
    assert_eq!(content, slot);
    // And what we write today is the same, byte by byte: ed25519 leaves nothing to chance.
    let head = 20 + u32::from_le_bytes(bundle[12..16].try_into().unwrap()) as usize;
    assert_eq!(assemble(&bundle[20..head], &[sign(&bundle[20..head], 7)], &slot), bundle);
}

proptest! {
    #[test]
    fn any_bytes_are_refused_in_good_order(bytes in proptest::collection::vec(any::<u8>(), 0..400), magic: bool) {
        let bytes = if magic { [b"WAGATEUP\x01\0\0\0", &bytes[..]].concat() } else { bytes };
        prop_assert!(read(&bytes, &keys(&[1])).is_err());
        let _ = Manifest::parse(&bytes);
        let _ = TrustedKey::parse(&String::from_utf8_lossy(&bytes));
        let signed = assemble(&bytes, &[sign(&bytes, 1)], b"");
        prop_assert!(read(&signed, &keys(&[1])).is_err(), "signed junk is junk");
    }

    #[test]
    fn a_bundle_with_changed_bytes_is_refused_or_the_same(at in 0_usize..600, byte: u8) {
        let good = bundle("0.2.0", b"slot");
        let mut bad = good.clone();
        let at = at % (good.len() - 4);
        bad[at] = byte;
        if let Ok(manifest) = read(&bad, &keys(&[1])) {
            prop_assert_eq!(manifest, self::manifest("0.2.0", b"slot"));
        }
    }
}
