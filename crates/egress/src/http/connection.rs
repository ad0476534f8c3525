//! One request and its answer over one connection.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use tokio::time::Instant;

use super::Trouble;
use super::answer::{Answer, Reader};
use super::stream::Stream;
use crate::alarm::Alarm;

/// Read at once: an answer of any CRM that has nothing to say.
const BUFFER_BYTES: usize = 4 * 1024;

/// A connection that carries one request at a time.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Stream,
    buffer: Box<[u8]>,
    alarm: Alarm,
    /// It has carried a request before.
    used: bool,
}

/// How a request ended that got no answer.
#[derive(Debug)]
pub(super) enum Failed {
    /// The other side had hung up while the connection lay idle: nothing was sent.
    Stale,
    /// Anything else.
    Trouble(Trouble),
}

/// A request under way.
struct Exchange<'a> {
    head: &'a [u8],
    body: &'a [u8],
    deadline: Instant,
    checked: bool,
    /// Bytes of head and body that were handed to the connection.
    sent: usize,
    writing: bool,
    write_error: Option<io::Error>,
    reader: Reader,
}

impl Connection {
    pub(super) fn new(stream: Stream, deadline: Instant) -> Self {
        let buffer = vec![0; BUFFER_BYTES].into_boxed_slice();
        Self { stream, buffer, alarm: Alarm::new(deadline), used: false }
    }

    /// Sends `head` (with its empty line) and `body`, and has `reader` read the answer until `deadline`.
    /// Returns it, and whether the connection can carry another request. If the time is over, or
    /// the connection breaks, once the status has come, then that is the answer.
    ///
    /// An answer may come before the request was sent to its end; the rest isn't sent then, and
    /// what says that all is well isn't believed.
    pub(super) async fn exchange(
        &mut self,
        head: &[u8],
        body: &[u8],
        reader: Reader,
        deadline: Instant,
    ) -> Result<(Answer, bool), Failed> {
        let mut exchange = Exchange {
            head,
            body,
            deadline,
            checked: !self.used,
            sent: 0,
            writing: true,
            write_error: None,
            reader,
        };
        let ended = poll_fn(|context| self.poll(context, &mut exchange)).await;
        self.used = true;
        ended?;
        let whole = exchange.sent == head.len() + body.len() && !exchange.writing;
        match exchange.reader.into_answer() {
            // Nobody has what wasn't sent, whatever the answer says: it may be that of a request before.
            Some((answer, _)) if !whole && answer.is_accepting() => {
                Err(unknown("it was accepted before it was sent"))
            }
            Some((answer, keeps)) => Ok((answer, keeps && whole)),
            None => Err(unknown("the connection ended before an answer came")),
        }
    }

    fn poll(&mut self, context: &mut Context<'_>, exchange: &mut Exchange<'_>) -> Poll<Result<(), Failed>> {
        if !exchange.checked {
            exchange.checked = true;
            // There is nothing to be read before a request, but that the other side hung up.
            if self.stream.poll_read(context, &mut self.buffer).is_ready() {
                return Poll::Ready(Err(Failed::Stale));
            }
        }
        if let Err(failed) = self.write(context, exchange) {
            return Poll::Ready(Err(failed));
        }
        loop {
            let read = match self.stream.poll_read(context, &mut self.buffer) {
                Poll::Ready(Ok(0)) => Err(io::ErrorKind::UnexpectedEof.into()),
                Poll::Ready(read) => read,
                Poll::Pending => break,
            };
            match read {
                Ok(read) => {
                    if let Err(garbage) = exchange.reader.feed(&self.buffer[..read]) {
                        return Poll::Ready(Err(unknown(garbage.0)));
                    }
                }
                Err(error) if !exchange.reader.cut() => {
                    let error = exchange.write_error.take().unwrap_or(error);
                    return Poll::Ready(Err(unknown(&broken(&error))));
                }
                Err(_) => {}
            }
            if exchange.reader.is_over() {
                return Poll::Ready(Ok(()));
            }
        }
        if self.alarm.poll(context, exchange.deadline).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(if exchange.reader.cut() {
            Ok(())
        } else if exchange.sent == 0 {
            Err(Failed::Trouble(Trouble::NotSent("the connection took nothing in time".to_owned())))
        } else {
            Err(unknown("no answer came in time"))
        })
    }

    /// Writes as much as the connection takes.
    fn write(&mut self, context: &mut Context<'_>, exchange: &mut Exchange<'_>) -> Result<(), Failed> {
        while exchange.writing {
            let (head, body) = (exchange.head, exchange.body);
            let left = (head.len() + body.len()).saturating_sub(exchange.sent);
            let written = if left == 0 {
                self.stream.poll_flush(context).map_ok(|()| 0)
            } else {
                let parts = [
                    IoSlice::new(head.get(exchange.sent..).unwrap_or_default()),
                    IoSlice::new(body.get(exchange.sent.saturating_sub(head.len())..).unwrap_or_default()),
                ];
                let first = usize::from(parts[0].is_empty());
                self.stream.poll_write(context, &parts[first..])
            };
            match written {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0)) => exchange.writing = false,
                Poll::Ready(Ok(written)) => exchange.sent += written,
                // TLS may have sent a part of what it says that it didn't.
                Poll::Ready(Err(error)) if exchange.sent == 0 && self.stream.is_plain() => {
                    return Err(if self.used {
                        Failed::Stale
                    } else {
                        Failed::Trouble(Trouble::NotSent(broken(&error)))
                    });
                }
                // What the other side answered before it hung up may still be there to be read.
                Poll::Ready(Err(error)) => {
                    exchange.writing = false;
                    exchange.write_error = Some(error);
                }
            }
        }
        Ok(())
    }
}

fn unknown(words: &str) -> Failed {
    Failed::Trouble(Trouble::Unknown(words.to_owned()))
}

fn broken(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        "the connection was closed before an answer came".to_owned()
    } else {
        format!("the connection broke before an answer came: {error}")
    }
}
