//! From a stream of bytes to a slot that is started next.

use std::io::Read;

use embedded_svc::ota::{Ota as _, OtaUpdate as _, OtaUpdateFinished as _};
use ring::digest;

use crate::bundle::Head;
use crate::keys::TrustedKeys;
use crate::manifest::{Here, Manifest};
use crate::slots::{Flash, GrubSlots};
use crate::{BoardError, Code, Progress};

/// Bytes that are written at a time: large enough for a card, small enough for a box with 256 MB.
pub const CHUNK: usize = 1 << 20;

/// Takes a bundle: verifies it, writes the other slot, reads it back and makes it the next one to be started.
///
/// # Errors
/// Each refusal has its [`Code`]. The running slot stays what it is, and the next one; once the manifest was
/// accepted, what was in the other slot is lost.
pub fn install<F: Flash>(
    slots: &mut GrubSlots<F>,
    keys: &TrustedKeys,
    here: Here<'_>,
    bundle: &mut dyn Read,
    told: &mut dyn FnMut(Progress),
) -> Result<(), BoardError> {
    let manifest = Head::read(bundle)?.verify(keys)?;
    manifest.check(here)?;
    slots.expect(&manifest)?;
    let (slot, version) = (slots.running().other(), manifest.version.to_string());
    let mut update = slots.initiate_update()?;
    told(Progress::Accepted { version: version.clone(), bytes: manifest.slot_bytes });
    copy(&manifest, bundle, &mut update, told)?;
    told(Progress::Verifying);
    update.finish()?.activate()?;
    told(Progress::Activated { version, slot });
    Ok(())
}

/// Copies the slot's content, which must be exactly what the manifest says.
fn copy<W: embedded_svc::io::Write<Error = BoardError>>(
    manifest: &Manifest,
    from: &mut dyn Read,
    to: &mut W,
    told: &mut dyn FnMut(Progress),
) -> Result<(), BoardError> {
    let damaged = |how: &str| {
        BoardError::new(Code::Damaged, format!("the update's content {how}; fetch the bundle again"))
    };
    let mut hash = digest::Context::new(&digest::SHA256);
    let mut chunk = vec![0; CHUNK];
    let mut written = 0;
    while written < manifest.slot_bytes {
        let wanted = usize::try_from(manifest.slot_bytes - written).map_or(CHUNK, |left| left.min(CHUNK));
        let part = chunk.get_mut(..wanted).unwrap_or_default();
        from.read_exact(part).map_err(|error| {
            let early = error.kind() == std::io::ErrorKind::UnexpectedEof;
            if early {
                damaged("ends before its time")
            } else {
                BoardError::io("the bundle stopped coming", error)
            }
        })?;
        hash.update(part);
        to.write_all(part)?;
        written += wanted as u64;
        told(Progress::Written { bytes: written });
    }
    // One byte more would mean that what was signed isn't what was sent.
    match from.read_exact(&mut [0]) {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {}
        Ok(()) => return Err(damaged("goes on behind its end")),
        Err(error) => return Err(BoardError::io("the bundle stopped coming", error)),
    }
    let found: String = hash.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    if found == manifest.slot_sha256 { Ok(()) } else { Err(damaged("isn't what the manifest names")) }
}
