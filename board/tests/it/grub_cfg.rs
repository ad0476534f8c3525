//! `board/image/grub.cfg` and its model in Rust make the same choice.
//!
//! GRUB's language is near to that of a shell. With its few commands as functions a shell runs the very file that
//! the image has; what GRUB itself makes of it is for the machine tests.

use std::fs;
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;
use wagate_board::slots::{EnvBlock, Note, SlotEnv, what_grub_does};
use wagate_board::{BootState, SlotName};

/// GRUB's commands. A slot is loaded where `$load` names it; `boot` and `reboot` end the run and tell.
const COMMANDS: &str = r##"
load_env() {
    shift; file=$1; shift
    while IFS= read -r line; do
        for name in "$@"; do
            case $line in "$name="*) eval "$name=\${line#*=}" ;; esac
        done
    done < "$file"
}
save_env() { shift; eval "value=\$$2"; sed -i "s/^$2=./$2=$value/" "$1"; }
regexp() { disk=hd0; }
linux() {
    case $1 in hd0,gpt2/*) tried=a ;; hd0,gpt3/*) tried=b ;; esac
    for word in "$@"; do case $word in wagate.left=*) left_told=${word#*=} ;; wagate.slot=*) told=${word#*=} ;; esac; done
    case $load in *$tried*) true ;; *) false ;; esac
}
initrd() { true; }
boot() { echo "BOOT $tried $told $left_told"; exit; }
reboot() { echo REBOOT; exit; }
sleep() { :; }
"##;

/// The file as a shell takes it.
fn script() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("image/grub.cfg");
    let text = fs::read_to_string(path).unwrap();
    let text = text.replace("($root)", "$root").replace("($disk,$part)", "$disk,$part");
    let lines = text.lines().map(|line| line.replace("; set ", "; ").replace("then set ", "then "));
    let lines = lines.map(|line| line.replacen("else set ", "else ", 1));
    let lines = lines.map(|line| {
        let words = line.trim_start();
        words.strip_prefix("set ").map_or_else(|| line.clone(), str::to_owned)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// What the script started, and the words for it on the kernel's line.
fn run(root: &Path, loadable: [bool; 2]) -> Option<(SlotName, String)> {
    let load =
        ["a", "b"].iter().zip(loadable).filter(|(_, can)| *can).map(|(name, _)| *name).collect::<String>();
    let text = format!("load={load}; root={}\n{COMMANDS}\n{}", root.display(), script());
    let done = Command::new("sh").arg("-c").arg(text).output().unwrap();
    let said = String::from_utf8(done.stdout).unwrap();
    let last = said.lines().last().unwrap_or_default().to_owned();
    assert!(done.stderr.is_empty(), "{}", String::from_utf8_lossy(&done.stderr));
    if last == "REBOOT" {
        return None;
    }
    let words: Vec<&str> = last.split(' ').collect();
    assert_eq!((words[0], words[1]), ("BOOT", words[2]), "the kernel is told another slot: {said}");
    Some((if words[1] == "a" { SlotName::A } else { SlotName::B }, words[3].to_owned()))
}

fn agree(state: &BootState, loadable: [bool; 2], first: &[u8], copy: &[u8]) {
    let root = tempfile::tempdir().unwrap();
    let files = ["grub/grubenv", "grub/grubenv.bak"].map(|name| root.path().join(name));
    fs::create_dir(root.path().join("grub")).unwrap();
    fs::write(&files[0], first).unwrap();
    fs::write(&files[1], copy).unwrap();
    let found = run(root.path(), loadable);
    let model = what_grub_does(state, loadable);
    let told = format!("{state:?}, loadable: {loadable:?}");
    assert_eq!(found.as_ref().map(|(slot, _)| *slot), model.slot, "{told}");
    if let (Some((slot, left)), false) = (found, model.last_resort) {
        let now = model.state.slot(slot);
        assert_eq!(left, if now.ok { "committed".to_owned() } else { now.left.to_string() }, "{told}");
    }
    let after = files.map(|file| fs::read(file).unwrap());
    let read = |bytes: &[u8]| EnvBlock::parse(bytes).filter(EnvBlock::is_sane).map(|block| block.state());
    let counts = read(&after[0]).or_else(|| read(&after[1]));
    assert_eq!(counts.unwrap_or_default(), model.state, "{told}");
    assert!(model.wrote || after == [first.to_vec(), copy.to_vec()], "GRUB wrote, and shouldn't: {told}");
}

fn block(state: &BootState) -> Vec<u8> {
    EnvBlock::default().with(state).encode().to_vec()
}

#[test]
fn damaged_files_make_way_for_the_copy_and_both_for_what_is_safe() {
    let mut state = BootState::flashed("0.1.0");
    (state.first, state.b.left) = (SlotName::B, 2);
    let good = block(&state);
    for junk in [&[0xFF; 1024][..], b"", b"# GRUB Environment Block\nORDER=A B\nA_OK=0\nB_LEFT=0\n"] {
        for loadable in [[true, true], [true, false], [false, true], [false, false]] {
            agree(&state, loadable, junk, &good);
            agree(&state, loadable, &good, junk);
            agree(&BootState::default(), loadable, junk, junk);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn the_script_and_the_model_choose_the_same(
        b_first: bool, ok: [bool; 2], left in [0_u8..=3, 0_u8..=3], loadable: [bool; 2], reset: bool,
    ) {
        let slot = |at: usize| SlotEnv { ok: ok[at], left: left[at], version: None };
        let first = if b_first { SlotName::B } else { SlotName::A };
        let state = BootState { first, a: slot(0), b: slot(1), reset, note: Note::new("why"), handed: None };
        let block = block(&state);
        agree(&state, loadable, &block, &block);
    }
}
