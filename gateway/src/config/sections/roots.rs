//! `ca` of an endpoint: authorities to trust besides the usual ones.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::super::reader::Section;
use super::super::secret;
use super::super::types::Roots;
use super::super::values::Fault;
use super::path;

/// A file of roots is no larger: those of all the world take a quarter of it.
const FILE_MAX: u64 = 1 << 20;

/// `Some(None)`: there is no `ca`. `None`: something is wrong with it, and has been noted.
pub(super) fn roots(section: &Section<'_>) -> Option<Option<Roots>> {
    let Some(file) = path(section, "ca") else {
        return if section.has("ca") { None } else { Some(None) };
    };
    let read = read(&file).and_then(|pem| usable(&pem).map(|()| pem));
    match read {
        Ok(pem) => Some(Some(Roots { file, pem })),
        Err(what) => {
            let fault = Fault::new(format!("{}: {what}", file.display()));
            section.mistake("ca", fault.help("a PEM file with \"-----BEGIN CERTIFICATE-----\""));
            None
        }
    }
}

fn read(file: &std::path::Path) -> Result<Vec<u8>, String> {
    use std::io::Read as _;
    let cannot = |error: std::io::Error| format!("can't be read: {}", secret::reason(&error));
    let mut pem = Vec::new();
    std::fs::File::open(file)
        .and_then(|file| file.take(FILE_MAX + 1).read_to_end(&mut pem))
        .map_err(cannot)?;
    if pem.len() as u64 > FILE_MAX { Err("larger than 1 MiB".to_owned()) } else { Ok(pem) }
}

/// Whether every certificate can be trusted as a root, and there is one.
fn usable(pem: &[u8]) -> Result<(), String> {
    let mut store = RootCertStore::empty();
    for (place, certificate) in CertificateDer::pem_slice_iter(pem).enumerate() {
        let number = place + 1;
        let certificate =
            certificate.map_err(|error| format!("certificate {number} can't be read: {error}"))?;
        store.add(certificate).map_err(|error| format!("certificate {number} can't be used: {error}"))?;
    }
    if store.is_empty() { Err("holds no certificate".to_owned()) } else { Ok(()) }
}
