//! Small values: in memory and in files.

use embedded_svc::storage::RawStorage;
use wagate_board::memory::MemoryStorage;
use wagate_board::storage::VALUE_MAX;
use wagate_board::{BoardError, Code, FileStorage};

fn keeps_values<S: RawStorage<Error = BoardError>>(storage: &mut S) {
    let mut buffer = [0; 16];
    assert_eq!(storage.get_raw("clock", &mut buffer), Ok(None));
    assert_eq!(storage.set_raw("clock", b"1"), Ok(false));
    assert_eq!(storage.set_raw("clock", b"two"), Ok(true));
    assert_eq!(storage.get_raw("clock", &mut buffer), Ok(Some(&b"two"[..])));
    assert_eq!((storage.len("clock"), storage.contains("clock")), (Ok(Some(3)), Ok(true)));
    assert_eq!(storage.get_raw("clock", &mut [0; 2]).unwrap_err().code, Code::TooLarge);
    assert_eq!((storage.remove("clock"), storage.remove("clock")), (Ok(true), Ok(false)));
    assert_eq!((storage.len("clock"), storage.contains("clock")), (Ok(None), Ok(false)));
    assert_eq!(storage.set_raw("log", &vec![0; VALUE_MAX]), Ok(false));
    assert_eq!(storage.set_raw("log", &vec![0; VALUE_MAX + 1]).unwrap_err().code, Code::TooLarge);
    assert_eq!(storage.len("log"), Ok(Some(VALUE_MAX)));
    for bad in ["", ".", "..", "../x", "a/b", ".hidden", "-x", "Groß", "a b", "a\0", &"x".repeat(65)] {
        assert_eq!(storage.set_raw(bad, b"1").unwrap_err().code, Code::Unsupported, "{bad:?}");
        assert_eq!(storage.get_raw(bad, &mut buffer).unwrap_err().code, Code::Unsupported, "{bad:?}");
        assert_eq!(storage.contains(bad).unwrap_err().code, Code::Unsupported, "{bad:?}");
        assert_eq!(storage.remove(bad).unwrap_err().code, Code::Unsupported, "{bad:?}");
    }
}

#[test]
fn memory_keeps_values() {
    keeps_values(&mut MemoryStorage::default());
}

#[test]
fn files_keep_values() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("data/box");
    keeps_values(&mut FileStorage::open(&kept).unwrap());
    // What was cut short before its rename is no value, and in nobody's way.
    std::fs::write(kept.join(".clock.new"), b"half").unwrap();
    let mut again = FileStorage::open(&kept).unwrap();
    assert_eq!(again.get("clock"), Ok(None));
    again.set("clock", b"9").unwrap();
    assert_eq!(again.get("clock"), Ok(Some(b"9".to_vec())));
    let mut names: Vec<_> =
        std::fs::read_dir(&kept).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["clock", "log"]);
}

#[test]
fn a_folder_that_cannot_be_made_is_told() {
    let file = tempfile::NamedTempFile::new().unwrap();
    assert_eq!(FileStorage::open(&file.path().join("box")).unwrap_err().code, Code::Io);
}
