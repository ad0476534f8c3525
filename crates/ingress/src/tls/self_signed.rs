//! A certificate of the box's own, for trials and relays: Meta refuses it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::crypto::CryptoProvider;
use tracing::{info, warn};

use super::TlsError;
use super::files::Files;

/// Key and certificate of a self-signed certificate are one file in its folder, so that a power cut can't part them.
pub const SELF_SIGNED_FILE: &str = "self_signed.pem";
/// Says nothing of the software to whoever connects.
const NAME: &str = "localhost";

/// Finds the certificate kept in `folder`, or makes one where there is none that can be used.
///
/// It has no end (RFC 5280 section 4.1.2.5: 9999-12-31), since a box whose clock is wrong by years
/// couldn't tell when to renew it, and whoever pins it would be surprised if it did. It bears `names` besides those of
/// loopback; where they have changed, another is made.
pub(super) fn find_or_make(
    folder: &Path,
    names: &[String],
    provider: &CryptoProvider,
) -> Result<Files, TlsError> {
    let path = folder.join(SELF_SIGNED_FILE);
    let files = Files { certificate: path.clone(), key: path.clone(), ocsp: None };
    match files.load(provider) {
        Ok(_) if is_for(&path, names) => return Ok(files),
        Ok(_) => info!("the self-signed certificate is for other names; making another"),
        Err(TlsError::Unreadable(_, error)) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => warn!(%error, "the self-signed certificate cannot be used; making another"),
    }
    let pem = make(names).map_err(TlsError::Make)?;
    keep(&path, folder, pem.as_bytes()).map_err(|error| TlsError::Keep(path.clone(), error))?;
    info!(path = %path.display(), "made a self-signed certificate");
    Ok(files)
}

/// The line before the certificate, which readers of PEM pass over; none without names of its own.
fn line(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("names: {}\n", names.join(" ")) }
}

fn is_for(path: &Path, names: &[String]) -> bool {
    fs::read_to_string(path).is_ok_and(|pem| {
        let end = pem.find("-----BEGIN").unwrap_or(pem.len());
        pem[..end] == line(names)
    })
}

fn make(names: &[String]) -> Result<String, rcgen::Error> {
    let key = KeyPair::generate()?;
    let loopback = [NAME, "127.0.0.1", "::1"].map(str::to_owned);
    let all: Vec<String> = loopback.into_iter().chain(names.iter().cloned()).collect();
    let mut parameters = CertificateParams::new(all)?;
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, NAME);
    parameters.not_before = rcgen::date_time_ymd(1970, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(9999, 12, 31);
    let certificate = parameters.self_signed(&key)?;
    Ok(format!("{}{}{}", line(names), certificate.pem(), key.serialize_pem()))
}

/// Writes the file whole or not at all, for the owner's eyes only.
fn keep(path: &Path, folder: &Path, pem: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let draft: PathBuf = path.with_extension("new");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(pem)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use model::WallTime;

    use super::*;

    fn provider() -> CryptoProvider {
        rustls::crypto::ring::default_provider()
    }

    #[test]
    fn is_made_once_and_kept_for_the_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("tls");
        let files = find_or_make(&folder, &[], &provider()).unwrap();
        let first = fs::read(&files.key).unwrap();
        assert_eq!(fs::metadata(&files.key).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(find_or_make(&folder, &[], &provider()).unwrap(), files);
        assert_eq!(fs::read(&files.key).unwrap(), first);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "no draft is left behind");
        let [_, expires] = files.load(&provider()).unwrap().life;
        assert!(expires > WallTime::from_seconds(253_402_000_000), "no end: {}", expires.0);
    }

    #[test]
    fn a_spoilt_file_and_a_draft_left_by_a_power_cut_are_replaced() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("self_signed.pem"), b"\xff\xff\xff").unwrap();
        fs::write(folder.path().join("self_signed.new"), b"half").unwrap();
        let files = find_or_make(folder.path(), &[], &provider()).unwrap();
        files.load(&provider()).unwrap();
        assert_eq!(fs::metadata(&files.key).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn other_names_are_another_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let mut seen = Vec::new();
        for of in [&["box.lan"][..], &["box.lan"], &["box.lan", "192.168.1.9"], &[]] {
            let files = find_or_make(folder.path(), &names(of), &provider()).unwrap();
            files.load(&provider()).unwrap();
            seen.push(fs::read(&files.certificate).unwrap());
        }
        assert_eq!(seen[0], seen[1]);
        assert_ne!(seen[1], seen[2]);
        assert_ne!(seen[2], seen[3]);
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_said() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = find_or_make(file.path(), &[], &provider()).unwrap_err();
        assert!(matches!(refused, TlsError::Keep(..)), "{refused}");
    }
}
