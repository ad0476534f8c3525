//! The accept loop under another service.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::Response;
use hyper::body::{Body, Frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use wagate_ingress::{ConnectionLimits, Metrics, Transport, serve};

use crate::support::*;

/// A body that streams what is sent to it.
struct Events(mpsc::Receiver<&'static str>);

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|event| event.map(|event| Ok(Frame::data(Bytes::from(event)))))
    }
}

#[tokio::test]
async fn a_stream_of_events_may_be_silent_for_longer_than_an_idle_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let limits = ConnectionLimits { header_time: Duration::from_millis(30), ..ConnectionLimits::default() };
    let metrics = Metrics::default().listener("api");
    let (streams, mut started) = mpsc::channel(1);
    let service = move |_, _| {
        let (send, receive) = mpsc::channel(1);
        streams.try_send(send).unwrap();
        async move { Response::new(Events(receive)) }
    };
    let (stop, stopped) = oneshot::channel();
    let stopped = async { drop(stopped.await) };
    let served = tokio::spawn(serve(listener, Transport::Plain, limits, metrics.clone(), service, stopped));

    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /events HTTP/1.1\r\nHost: box\r\n\r\n").await.unwrap();
    let events = started.recv().await.unwrap();
    // Silence, until a connection that came later and isn't streaming has been cut.
    let mut halfway = TcpStream::connect(address).await.unwrap();
    halfway.write_all(b"GET / HT").await.unwrap();
    assert_eq!(rest(&mut halfway).await, "");
    events.send("one event").await.unwrap();
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"one event\r\n") {
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "closed");
    }
    drop(events);
    until(|| metrics.open() == 0).await;
    stop.send(()).unwrap();
    assert_eq!(served.await.unwrap().cut, 0);
}
