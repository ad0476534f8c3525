//! A request whose answer is a number.

use std::sync::Arc;

use rustls::ClientConfig;
use tokio::time::Instant;

use super::address::Address;
use super::answer::Reader;
use super::client::Trouble;
use super::connection::{Connection, Failed};
use super::dial::Dialler;
use crate::client::ClientSettings;

/// Asks once, over a connection made for it with the DNS settings of now, and returns the status. What follows
/// the head of the answer isn't waited for. No redirect is followed.
pub(crate) async fn status(
    address: Address,
    tls: Arc<ClientConfig>,
    settings: &ClientSettings,
) -> Result<u16, Trouble> {
    let start = Instant::now();
    let deadline = start + settings.request_timeout;
    let dialler = Dialler::new(address, tls);
    let stream = dialler.dial(deadline.min(start + settings.connect_timeout)).await;
    let mut connection = Connection::new(stream.map_err(Trouble::NotSent)?, deadline);
    let head = [dialler.address().start(), b"connection: close\r\n\r\n"].concat();
    match connection.exchange(&head, &[], Reader::of_the_head(), deadline).await {
        Ok((answer, _)) => Ok(answer.code),
        Err(Failed::Trouble(trouble)) => Err(trouble),
        Err(Failed::Stale) => Err(Trouble::NotSent("the connection was closed at once".to_owned())),
    }
}
