//! The handshake that Meta does when a webhook URL is saved in its dashboard.

use std::fmt::Write;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::HOST;
use hyper::{Request, Uri};

use super::connection::{BadUrl, Connection, Failure, Target};
use crate::Random;

/// How long the answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A handshake that went well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handshake {
    /// From connecting to the whole answer.
    pub took: Duration,
}

/// Why Meta would refuse the URL.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The operator's URL is wrong.
    #[error(transparent)]
    Url(#[from] BadUrl),
    /// The gateway can't be reached or doesn't answer.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// The gateway said no; 403 means that the verify token is another.
    #[error("the gateway answered {0}{hint}", hint = if *.0 == 403 { ": the verify token is another one" } else { "" })]
    Refused(u16),
    /// The gateway said yes and didn't give the challenge back byte for byte.
    #[error("the gateway answered 200 without giving the challenge back")]
    NotEchoed,
}

/// Asks the gateway to give a challenge back. `seed` makes the challenge.
///
/// # Errors
/// When Meta would refuse the URL; the variant says whose fault it is.
pub async fn handshake(url: &str, verify_token: &str, seed: u64) -> Result<Handshake, HandshakeError> {
    let target = Target::parse(url)?;
    let challenge = Random::new(seed).next_u64().to_string();
    let start = Instant::now();
    let mut connection = Connection::open(&target, TIMEOUT).await?;
    let request = Request::get(question(&target.path, verify_token, &challenge))
        .header(HOST, target.host_header.clone())
        .body(Full::new(Bytes::new()))
        .expect("a path with an encoded query and a header that was checked make a request");
    let answer = connection.exchange(request, TIMEOUT).await?;
    match answer.status().as_u16() {
        200 if answer.body() == challenge.as_bytes() => Ok(Handshake { took: start.elapsed() }),
        200 => Err(HandshakeError::NotEchoed),
        status => Err(HandshakeError::Refused(status)),
    }
}

fn question(path: &Uri, verify_token: &str, challenge: &str) -> String {
    let joint = if path.query().is_some() { '&' } else { '?' };
    let mut question = format!("{path}{joint}hub.mode=subscribe&hub.challenge={challenge}&hub.verify_token=");
    for byte in verify_token.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            question.push(char::from(byte));
        } else {
            write!(question, "%{byte:02X}").expect("writing to a string cannot fail");
        }
    }
    question
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_encoded_and_the_path_kept() {
        assert_eq!(
            question(&"/hook?x=1".parse().unwrap(), "a b&c=ü", "42"),
            "/hook?x=1&hub.mode=subscribe&hub.challenge=42&hub.verify_token=a%20b%26c%3D%C3%BC"
        );
    }
}
