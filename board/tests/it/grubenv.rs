//! The environment block, byte by byte.

use proptest::prelude::*;
use wagate_board::slots::{ENV_BYTES, EnvBlock, Note, SlotEnv};
use wagate_board::{BootState, SlotName};

/// As the image is flashed; `grub-editenv grubenv list` reads it.
const FLASHED: &str = "# GRUB Environment Block\nORDER=A B\nA_OK=1\nA_LEFT=3\nB_OK=0\nB_LEFT=0\nRESET=0\nNOTE=none\n\
    HANDED=none\nVERSION_A=0.1.0\nVERSION_B=\nSANE=1\n";

fn padded(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize(ENV_BYTES, b'#');
    bytes
}

fn read(bytes: &[u8]) -> BootState {
    EnvBlock::parse(bytes).expect("a block").state()
}

#[test]
fn a_flashed_block_is_these_bytes() {
    let block = EnvBlock::default().with(&BootState::flashed("0.1.0")).encode();
    assert_eq!(String::from_utf8_lossy(&block), String::from_utf8_lossy(&padded(FLASHED)));
    assert!(EnvBlock::is_whole(&block));
    assert_eq!(read(&block), BootState::flashed("0.1.0"));
}

#[test]
fn what_grub_spends_in_place_is_read() {
    let mut text = FLASHED.replace("B_LEFT=0", "B_LEFT=2").replace("ORDER=A B", "ORDER=B A");
    text.push_str("other=1\\\\2\\\n3\n");
    let block = EnvBlock::parse(&padded(&text)).unwrap();
    let state = block.state();
    assert_eq!((state.first, state.b.left, state.b.ok), (SlotName::B, 2, false));
    // A variable that isn't ours stays, escapes and all.
    assert_eq!(block.get("other"), Some("1\\2\n3"));
    let again = block.with(&BootState::default()).encode();
    assert_eq!(EnvBlock::parse(&again).unwrap().get("other"), Some("1\\2\n3"));
    assert!(String::from_utf8_lossy(&again).contains("other=1\\\\2\\\n3\n#"));
}

/// Written by the box, then changed by `grub-editenv` 2.06: `B_LEFT=2` and a variable of its own.
#[test]
fn a_block_that_grub_editenv_changed_is_read() {
    let bytes = include_bytes!("../fixtures/v1/grubenv");
    assert!(EnvBlock::is_whole(bytes));
    let block = EnvBlock::parse(bytes).unwrap();
    let mut expected = BootState::flashed("0.1.0");
    (expected.first, expected.b.left) = (SlotName::B, 2);
    assert_eq!((block.state(), block.get("other")), (expected, Some("a\\b")));
    assert_eq!(&block.with(&block.state()).encode(), bytes);
}

#[test]
fn all_of_ours_fits_into_the_first_sector() {
    let mut state = BootState::default();
    let long = "123.456.789-a".repeat(10);
    for name in SlotName::BOTH {
        state.name_version(name, &long);
    }
    state.note = Note::new(&long);
    state.handed = Some(SlotName::B);
    let mut block = EnvBlock::default().with(&state);
    for _ in 0..2 {
        let bytes = block.encode();
        let end = bytes.windows(7).position(|window| window == b"SANE=1\n").unwrap() + 7;
        assert!(end <= 512, "{end}");
        // Somebody else's variables, and a lot of them, move nothing of ours.
        let theirs: String = (0..200).map(|number| format!("other_{number}=value\n")).collect();
        let full = [&bytes[..end], theirs.as_bytes()].concat();
        block = EnvBlock::parse(&full[..ENV_BYTES]).unwrap().with(&state);
    }
    assert!(EnvBlock::is_whole(&block.encode()));
    assert_eq!(block.get("other_0"), Some("value"));
}

#[test]
fn hostile_blocks_say_nothing_or_the_cautious_thing() {
    for bytes in [&[][..], &[0xFF; ENV_BYTES], &[0; ENV_BYTES], b"# GRUB Environment Bloc", b"#"] {
        assert_eq!(EnvBlock::parse(bytes), None);
        assert!(!EnvBlock::is_whole(bytes));
    }
    let unusable = SlotEnv::default();
    for text in [
        "# GRUB Environment Block\n",
        "# GRUB Environment Block\nA_OK=1",
        "# GRUB Environment Block\nA_OK",
        "# GRUB Environment Block\nA_OK=yes\nA_LEFT=4\nB_LEFT=-1\nB_OK=11\n",
        "# GRUB Environment Block\nA_LEFT=300\nB_LEFT=\\",
        "# GRUB Environment Block\n#A_OK=1\nRESET=2\nNOTE=\nHANDED=C\n",
    ] {
        let block = EnvBlock::parse(text.as_bytes()).unwrap();
        let state = block.state();
        assert!(!block.is_sane() && !EnvBlock::is_whole(&padded(text)), "{text}");
        assert_eq!((&state.a, &state.b), (&unusable, &unusable), "{text}");
        assert_eq!((state.reset, state.note, state.handed), (false, None, None));
    }
    // Torn anywhere in the first sector it isn't sane, and the copy counts.
    let whole = padded(FLASHED);
    let end = FLASHED.len();
    for cut in 0..end {
        for filling in [0, 0xFF, b'#'] {
            let mut torn = whole.clone();
            torn[cut..].fill(filling);
            assert!(!EnvBlock::is_whole(&torn), "cut at {cut}, filled with {filling}");
        }
    }
    // Junk behind it keeps GRUB from writing: it is mended, but counts until then.
    let mut junk = whole;
    junk[600..].fill(0xFF);
    assert!(!EnvBlock::is_whole(&junk) && EnvBlock::parse(&junk).unwrap().is_sane());
}

#[test]
fn the_last_of_two_lines_counts_as_in_grub() {
    let block =
        EnvBlock::parse(b"# GRUB Environment Block\nA_OK=1\nA_OK=0\nA_LEFT=1\nb\xFFd=1\nSANE=1\n").unwrap();
    assert_eq!((block.get("A_OK"), block.state().a.left), (Some("0"), 1));
    assert!(block.is_sane());
}

fn state() -> impl Strategy<Value = BootState> {
    let version = proptest::option::of("[0-9]{1,3}\\.[0-9]\\.[0-9](-[a-z.]{1,20})?");
    let slot =
        (any::<bool>(), 0_u8..=3, version).prop_map(|(ok, left, version)| SlotEnv { ok, left, version });
    let name = || prop_oneof![Just(SlotName::A), Just(SlotName::B)];
    let handed = proptest::option::of(name());
    let note =
        proptest::option::of("[a-m][a-z._-]{0,10}").prop_map(|word| word.and_then(|word| Note::new(&word)));
    (name(), slot.clone(), slot, any::<bool>(), note, handed)
        .prop_map(|(first, a, b, reset, note, handed)| BootState { first, a, b, reset, note, handed })
}

proptest! {
    #[test]
    fn every_state_comes_back(state in state(), others in "([a-z]{1,9}=[ -~]{0,20}\n){0,30}") {
        let block = EnvBlock::parse(&[b"# GRUB Environment Block\n", others.as_bytes()].concat()).unwrap_or_default();
        let bytes = block.with(&state).encode();
        prop_assert!(EnvBlock::is_whole(&bytes));
        prop_assert_eq!(read(&bytes), state);
    }

    #[test]
    fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..1100), head: bool) {
        let bytes = if head { [b"# GRUB Environment Block\n", &bytes[..]].concat() } else { bytes };
        if let Some(block) = EnvBlock::parse(&bytes) {
            let state = block.state();
            let again = block.with(&state).encode();
            prop_assert!(EnvBlock::is_whole(&again));
            prop_assert_eq!(read(&again), state);
        }
    }

    #[test]
    fn changed_bytes_are_read(at in 0..ENV_BYTES, byte: u8, then in 0..ENV_BYTES, other: u8) {
        let mut bytes = padded(FLASHED);
        bytes[at] = byte;
        bytes[then] = other;
        if let Some(block) = EnvBlock::parse(&bytes) {
            let _ = block.state();
            prop_assert!(EnvBlock::is_whole(&block.with(&block.state()).encode()));
        }
    }
}
