use proptest::prelude::*;

use super::*;

/// A version 2 header: command, family and protocol, and what follows.
fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [V2_GREETING, &[command, family], &length, rest].concat()
}

const V4: &[u8] = &[203, 0, 113, 9, 10, 8, 0, 1, 0xDC, 0x05, 0x01, 0xBB];

fn header(source: Option<&str>) -> Option<Option<SocketAddr>> {
    Some(source.map(|source| source.parse().unwrap()))
}

#[test]
fn both_versions_say_where_a_connection_comes_from() {
    let v6 = [[0x20, 1, 0xD, 0xB8].as_slice(), &[0; 11], &[9], &[0; 15], &[1], &[0xDC, 5, 1, 0xBB]].concat();
    let tlvs = [V4, &[0x02, 0, 15], b"box.example.com"].concat();
    for (bytes, source) in [
        (b"PROXY TCP4 203.0.113.9 10.8.0.1 56325 443\r\n".to_vec(), Some("203.0.113.9:56325")),
        (b"PROXY TCP6 2001:db8::9 ::1 56325 443\r\n".to_vec(), Some("[2001:db8::9]:56325")),
        (b"PROXY UNKNOWN\r\n".to_vec(), None),
        (b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n".to_vec(), None),
        (binary(0x21, 0x11, V4), Some("203.0.113.9:56325")),
        (binary(0x21, 0x11, &tlvs), Some("203.0.113.9:56325")),
        (binary(0x21, 0x21, &v6), Some("[2001:db8::9]:56325")),
        (binary(0x20, 0x11, V4), None),
        (binary(0x20, 0x00, b""), None),
        (binary(0x21, 0x00, b""), None),
        (binary(0x21, 0x31, &[b'/'; 216]), None),
    ] {
        let length = bytes.len();
        let read_whole = Progress::Header(Header { length, source: header(source).unwrap() });
        assert_eq!(read(&bytes), read_whole, "{bytes:?}");
        assert_eq!(read(&[&bytes, b"\x16\x03\x01".as_slice()].concat()), read_whole, "TLS stays: {bytes:?}");
        for end in 0..length {
            assert_eq!(read(&bytes[..end]), Progress::More, "{end} of {bytes:?}");
        }
    }
}

#[test]
fn what_is_none_is_told_at_once() {
    for (bytes, why) in [
        (b"\x16\x03\x01\x02\x00".to_vec(), Broken::Missing),
        (b"POST /webhook HTTP/1.1\r\n".to_vec(), Broken::Missing),
        (b"proxy TCP4".to_vec(), Broken::Missing),
        (b"PROXYTCP4 203.0.113.9 10.8.0.1 56325 443\r\n".to_vec(), Broken::Missing),
        (b"PROXY TCP5 203.0.113.9 10.8.0.1 56325 443\r\n".to_vec(), Broken::Malformed),
        (b"PROXY TCP4 203.0.113.9.1 10.8.0.1 56325 443\r\n".to_vec(), Broken::Malformed),
        (b"PROXY TCP4 2001:db8::9 ::1 56325 443\r\n".to_vec(), Broken::Malformed),
        (b"PROXY TCP4 203.0.113.9 10.8.0.1 66325 443\r\n".to_vec(), Broken::Malformed),
        (b"PROXY TCP4 203.0.113.9 10.8.0.1 56325 443\rX".to_vec(), Broken::Malformed),
        ([b"PROXY UNKNOWN".as_slice(), &[b' '; V1_BYTES]].concat(), Broken::Malformed),
        ([b"PROXY UNKNOWN".as_slice(), &[b' '; V1_BYTES], b"\r\n"].concat(), Broken::Malformed),
        (binary(0x11, 0x11, V4), Broken::Malformed),
        (binary(0x22, 0x11, V4), Broken::Malformed),
        (binary(0x21, 0x13, V4), Broken::Malformed),
        (binary(0x21, 0x12, V4), Broken::Malformed),
        (binary(0x21, 0x11, &V4[..11]), Broken::Malformed),
        (binary(0x21, 0x21, V4), Broken::Malformed),
        (binary(0x21, 0x31, V4), Broken::Malformed),
        (binary(0x21, 0x11, &[1; V2_BYTES])[..V2_FIXED].to_vec(), Broken::TooLong),
    ] {
        assert_eq!(read(&bytes), Progress::Broken(why), "{bytes:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_within_the_bound(
        greeting in proptest::sample::select(vec![&b""[..], V1_GREETING, b"PROXY TCP4 ", V2_GREETING, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0C"]),
        rest in proptest::collection::vec(any::<u8>(), 0..1200),
    ) {
        let bytes = [greeting, &rest].concat();
        match read(&bytes) {
            Progress::More => assert!(bytes.len() < V2_BYTES),
            Progress::Header(header) => {
                assert!(header.length <= bytes.len() && header.length <= V2_BYTES);
                assert_eq!(read(&bytes[..header.length]), Progress::Header(header));
            }
            Progress::Broken(_) => {}
        }
    }
}
