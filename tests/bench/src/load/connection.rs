//! One keep-alive connection: a request out, an answer in, one call of the kernel each.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use crate::http::Message;

/// A server that reads nothing for so long is dead.
const STUCK: Duration = Duration::from_secs(20);
/// An answer is a few hundred bytes; what is read at once.
const ANSWER_BYTES: usize = 4 << 10;

/// Sockets block: they are read when something is there, and a request fits into what the kernel
/// holds, so neither waits.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
    answer: Vec<u8>,
    scratch: Box<[u8; ANSWER_BYTES]>,
}

impl Connection {
    /// Connects, and shakes hands where there is TLS.
    pub(crate) fn open(address: SocketAddr, tls: Option<&Arc<ClientConfig>>) -> anyhow::Result<Self> {
        let mut socket = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(STUCK))?;
        socket.set_write_timeout(Some(STUCK))?;
        let tls = match tls {
            Some(config) => {
                let name = ServerName::IpAddress(address.ip().into());
                let mut tls = ClientConnection::new(Arc::clone(config), name)?;
                while tls.is_handshaking() {
                    tls.complete_io(&mut socket)?;
                }
                Some(Box::new(tls))
            }
            None => None,
        };
        let scratch = Box::new([0; ANSWER_BYTES]);
        Ok(Self { socket, tls, answer: Vec::with_capacity(ANSWER_BYTES), scratch })
    }

    pub(crate) fn send(&mut self, request: &[u8]) -> io::Result<()> {
        let Some(tls) = &mut self.tls else { return self.socket.write_all(request) };
        let mut rest = request;
        while !rest.is_empty() {
            // rustls takes 64 KiB at a time.
            let taken = tls.writer().write(rest)?;
            rest = &rest[taken..];
            while tls.wants_write() {
                tls.write_tls(&mut self.socket)?;
            }
        }
        Ok(())
    }

    /// Reads once what is there; the status of the answer when all of it has come.
    ///
    /// # Errors
    /// Whatever the socket says, and the end of the connection.
    pub(crate) fn receive(&mut self) -> io::Result<Option<u16>> {
        match &mut self.tls {
            Some(tls) => {
                if tls.read_tls(&mut self.socket)? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                tls.process_new_packets().map_err(io::Error::other)?;
                loop {
                    match tls.reader().read(&mut self.scratch[..]) {
                        Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                        Ok(length) => self.answer.extend_from_slice(&self.scratch[..length]),
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                        Err(error) => return Err(error),
                    }
                }
            }
            None => {
                let length = self.socket.read(&mut self.scratch[..])?;
                if length == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                self.answer.extend_from_slice(&self.scratch[..length]);
            }
        }
        match Message::parse(&self.answer) {
            Ok(Some(message)) => {
                let (status, length) = (message.status(), message.len());
                self.answer.drain(..length);
                Ok(Some(status))
            }
            Ok(None) => Ok(None),
            Err(_) => Err(io::Error::other("the answer is no HTTP that is understood here")),
        }
    }

    /// A request and its answer, for when nothing else goes on.
    pub(crate) fn ask(&mut self, request: &[u8]) -> io::Result<u16> {
        self.send(request)?;
        loop {
            if let Some(status) = self.receive()? {
                return Ok(status);
            }
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
