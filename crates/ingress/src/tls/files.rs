//! A certificate and its key in files.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::WallTime;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::TlsError;
use super::staple::{self, Staple};
use super::validity::validity;

/// The two files; they may be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Files {
    /// The chain as PEM, the box's own certificate first.
    pub(super) certificate: PathBuf,
    /// The private key as PEM (PKCS#8, SEC1 or PKCS#1).
    pub(super) key: PathBuf,
    /// An OCSP answer as DER, where there is one to show.
    pub(super) ocsp: Option<PathBuf>,
}

/// A certificate that can be used.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) key: Arc<CertifiedKey>,
    /// `notBefore` and `notAfter` of the box's own certificate.
    pub(super) life: [WallTime; 2],
    /// The OCSP answer to show with it, or why there is none; `None` where none is wanted.
    pub(super) staple: Option<Result<Staple, String>>,
}

/// What tells that a file is another than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// A chain of ten certificates has 20 KB.
pub(super) const PEM_BYTES: u64 = 1024 * 1024;

impl Files {
    /// Reads and checks both.
    pub(super) fn load(&self, provider: &CryptoProvider) -> Result<Identity, TlsError> {
        let pem = read(&self.certificate)?;
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem)
            .collect::<Result<_, _>>()
            .map_err(|error| TlsError::Certificate(self.certificate.clone(), error.to_string()))?;
        let Some(own) = chain.first() else {
            return Err(TlsError::Certificate(self.certificate.clone(), "no certificate in it".to_owned()));
        };
        let life = validity(own).ok_or_else(|| {
            TlsError::Certificate(self.certificate.clone(), "not an X.509 certificate".to_owned())
        })?;
        let key = PrivateKeyDer::from_pem_slice(&read(&self.key)?)
            .map_err(|error| TlsError::Key(self.key.clone(), error.to_string()))?;
        let key = CertifiedKey::from_der(chain, key, provider)
            .map_err(|error| TlsError::Key(self.key.clone(), error.to_string()))?;
        let staple = self.ocsp.as_deref().map(staple::read);
        Ok(Identity { key: Arc::new(key), life, staple })
    }

    /// The stamps of all; `None` for one that can't be looked at.
    pub(super) fn stamps(&self) -> [Option<Stamp>; 3] {
        [stamp(&self.certificate), stamp(&self.key), self.ocsp.as_deref().and_then(stamp)]
    }
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |error| TlsError::Unreadable(path.to_owned(), error);
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(PEM_BYTES + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > PEM_BYTES {
        return Err(unreadable(io::Error::other("more than 1 MiB, which is no certificate or key")));
    }
    Ok(bytes)
}

pub(super) fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some(Stamp {
        inode: metadata.ino(),
        length: metadata.len(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    })
}
