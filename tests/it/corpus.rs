//! What the fuzz targets start from, and what they ever found, on stable Rust.

use std::fs;
use std::path::Path;

#[path = "../fuzz/harness.rs"]
mod harness;

fn replay(folder: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("the folder can be read").path())
        .collect();
    files.sort();
    assert!(files.len() >= 4, "{} has lost its files", folder.display());
    for file in files {
        let bytes = fs::read(&file).expect("the file can be read");
        if std::panic::catch_unwind(|| target(&bytes)).is_err() {
            panic!("{} fails", file.display());
        }
    }
}

#[test]
fn bodies() {
    replay("fuzz/corpus/body", harness::body);
    replay("../crates/records/tests/fixtures/webhooks", harness::body);
}

#[test]
fn signature_headers() {
    replay("fuzz/corpus/signature", harness::signature);
}

#[test]
fn handshake_queries() {
    replay("fuzz/corpus/handshake", harness::handshake);
}

#[test]
fn proxy_headers() {
    replay("fuzz/corpus/proxy", harness::proxy);
}

#[test]
fn stored_formats() {
    replay("fuzz/corpus/stored", harness::stored);
}

#[test]
fn logs() {
    replay("fuzz/corpus/log", harness::log);
}

#[test]
fn outgoing_messages() {
    replay("fuzz/corpus/outgoing", harness::outgoing);
}

#[test]
fn answers_of_a_crm() {
    replay("fuzz/corpus/answer", harness::answer);
}

#[test]
fn certificates() {
    replay("fuzz/corpus/certificate", harness::certificate);
}

#[test]
fn update_bundles() {
    replay("fuzz/corpus/bundle", harness::bundle);
}
