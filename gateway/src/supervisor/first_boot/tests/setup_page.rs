//! What the setup page sends.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use board::wire::NamedFile;

use super::*;
use crate::supervisor::first_boot::SETUP;

fn sent(files: &Files) -> Vec<NamedFile> {
    let one =
        |(name, bytes): (&String, &Vec<u8>)| NamedFile { name: name.clone(), base64: STANDARD.encode(bytes) };
    files.iter().map(one).collect()
}

#[test]
fn what_is_right_is_taken_with_what_it_names_and_nothing_else() {
    let stage = Stage::new();
    stage.boot().leave_setup_note("the code");
    let mut files = good("1");
    files.insert("holiday.jpg".to_owned(), vec![1, 2, 3]);
    let path = stage.boot().take(&sent(&files)).unwrap();
    assert_eq!(path, stage.root().join("data/config/current/wagate.toml"));
    assert_eq!(stage.in_force(), Some(good("1")));
    assert!(!stage.card().join(SETUP).exists(), "the code has ended");
    assert_eq!(stage.start(), None);
}

#[test]
fn what_is_wrong_is_told_and_changes_nothing() {
    let stage = Stage::new();
    stage.boot().take(&sent(&good("1"))).unwrap();
    let mut wrong = good("2");
    wrong.remove("key.pem");
    let told = stage.boot().take(&sent(&wrong)).unwrap_err();
    assert!(told.contains("error: webhook.tls.key: can't read key.pem: No such file"), "{told}");
    wrong.remove("wagate.toml");
    assert_eq!(stage.boot().take(&sent(&wrong)).unwrap_err(), "there is no wagate.toml among the files");
    let spoilt = [NamedFile { name: "wagate.toml".to_owned(), base64: "?".to_owned() }];
    assert!(stage.boot().take(&spoilt).unwrap_err().contains("didn't come through whole"));
    assert_eq!(stage.in_force(), Some(good("1")));
    assert_eq!(stage.kept(), ["1", "current"]);
}
