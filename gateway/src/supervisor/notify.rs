//! What the gateway says of itself: the datagrams of `sd_notify`.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg, sockopt};

use super::chain::Word;

/// Bytes of a datagram; what is longer is cut, and its end is no word of ours.
const DATAGRAM_BYTES: usize = 2048;

/// Where the gateway says how it is.
#[derive(Debug)]
pub(super) struct Ear {
    socket: UnixDatagram,
}

impl Ear {
    /// Listens at `path`, where nothing may be that is still needed.
    pub(super) fn listen(path: &Path) -> io::Result<Self> {
        let _ = std::fs::remove_file(path);
        let socket = UnixDatagram::bind(path)?;
        sockopt::set_socket_passcred(&socket, true)?;
        Ok(Self { socket })
    }

    /// The process that spoke next, and what it said.
    pub(super) fn hear(&self) -> io::Result<(u32, Vec<Word>)> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let mut bytes = [0; DATAGRAM_BYTES];
        let received =
            recvmsg(&self.socket, &mut [IoSliceMut::new(&mut bytes)], &mut beside, RecvFlags::CMSG_CLOEXEC)?;
        let pid = beside.drain().find_map(|message| {
            let RecvAncillaryMessage::ScmCredentials(sender) = message else { return None };
            u32::try_from(sender.pid.as_raw_nonzero().get()).ok()
        });
        Ok((pid.unwrap_or(0), words(&bytes[..received.bytes])))
    }
}

/// What is meant for a supervisor; the rest (`STATUS=` and the like) is for people who ask systemd.
fn words(datagram: &[u8]) -> Vec<Word> {
    let word = |line: &[u8]| match line {
        b"READY=1" => Some(Word::Ready),
        b"WATCHDOG=1" => Some(Word::Beat),
        b"STOPPING=1" => Some(Word::Stopping),
        _ => None,
    };
    datagram.split(|byte| *byte == b'\n').filter_map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_heard_with_who_said_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify.sock");
        let ear = Ear::listen(&path).unwrap();
        let mouth = UnixDatagram::unbound().unwrap();
        mouth.send_to(b"STATUS=up and well\nREADY=1\nWATCHDOG=1", &path).unwrap();
        mouth.send_to(b"STOPPING=1\n", &path).unwrap();
        mouth.send_to(b"READY=10\nMAINPID=1\n\nwatchdog=1", &path).unwrap();
        mouth.send_to(&[b"STATUS=".as_slice(), &[b'x'; 4000], b"\nREADY=1"].concat(), &path).unwrap();
        assert_eq!(ear.hear().unwrap(), (std::process::id(), vec![Word::Ready, Word::Beat]));
        assert_eq!(ear.hear().unwrap(), (std::process::id(), vec![Word::Stopping]));
        assert_eq!(ear.hear().unwrap().1, []);
        assert_eq!(ear.hear().unwrap().1, []);
    }
}
