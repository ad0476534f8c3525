//! Reading in portions, so that a connection on which much comes doesn't keep the others waiting.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::coop::poll_proceed;

/// Bytes that are counted as one step. The runtime gives a task 128 steps before others have their turn, so that what
/// is read in one go is some 16 KiB: a record of TLS, and a thousand of the smallest frames of HTTP/2. (By itself
/// the runtime counts each read as one step, and 128 reads of a flood of pings took 100 ms.)
const STEP: usize = 128;

/// A connection from which a task reads no more than its part before it is another's turn.
pub(crate) struct Paced<IO>(IO);

impl<IO> Paced<IO> {
    pub(crate) const fn new(io: IO) -> Self {
        Self(io)
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Paced<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let step = ready!(poll_proceed(context));
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.0).poll_read(context, buffer))?;
        step.made_progress();
        for _ in 0..(buffer.filled().len() - before) / STEP {
            match poll_proceed(context) {
                Poll::Ready(step) => step.made_progress(),
                Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Paced<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, slices)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    /// Bytes without end, all there already.
    struct Endless;

    impl AsyncRead for Endless {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            buffer.put_slice(&vec![b'x'; buffer.remaining().min(4096)]);
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn who_reads_much_lets_others_in_between() {
        let (read, others) = (std::rc::Rc::new(std::cell::Cell::new(0)), tokio::task::LocalSet::new());
        let reading = std::rc::Rc::clone(&read);
        others.spawn_local(async move {
            let mut stream = Paced::new(Endless);
            let mut buffer = [0; 4096];
            loop {
                reading.set(reading.get() + stream.read(&mut buffer).await.unwrap());
            }
        });
        others
            .run_until(async {
                for turn in 1..=10 {
                    tokio::task::yield_now().await;
                    assert!(read.get() <= turn * 2 * 128 * STEP, "{} in {turn} turns", read.get());
                }
                assert!(read.get() >= 128 * STEP, "it goes on");
            })
            .await;
    }
}
