//! Files that customers sent, on their way to the box.

use std::fmt;
use std::io;
use std::pin::Pin;

use futures_util::stream::{self, Stream, StreamExt as _};
use model::Outcome;
use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
use tokio::time::Instant;

use super::answer::judge;
use super::client::{Graph, not_sent};
use super::heard::{Called, Head};
use super::media::{MediaPlace, way};
use super::refusal::clean;
use super::upload::UPLOAD_BYTES_MAX;
use super::wire::{Heard, Unanswered, unknown};

/// A file that comes in, after the head of its answer.
pub struct Download {
    /// What the answer says that it is: as much the customer's word as the file is.
    pub content_type: Option<String>,
    /// Its length in bytes; `None` where the answer doesn't say.
    pub length: Option<u64>,
    /// The file in portions, in the order they come. It ends with an error where the file breaks off, is
    /// larger than [`UPLOAD_BYTES_MAX`], or takes too long. Dropping it hangs up.
    pub bytes: Pin<Box<dyn Stream<Item = io::Result<Vec<u8>>> + Send>>,
}

impl fmt::Debug for Download {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Download");
        shown.field("content_type", &self.content_type).field("length", &self.length);
        shown.finish_non_exhaustive()
    }
}

impl Graph {
    /// Asks where the file `id` of a message to `number` can be fetched; the answer holds for 5 minutes.
    pub async fn media(&self, id: &str, number: &str) -> Called<Result<MediaPlace, Outcome>> {
        self.get(self.endpoint().file(id, number), MediaPlace::read).await
    }

    /// Fetches a file from where [`Graph::media`], or a webhook, says that it is. The token goes to the
    /// endpoint's own host and to Meta's, and nothing is asked of another: that is not sent.
    ///
    /// The call is over when the head of the answer is there, and so is its latency; the bytes come as
    /// they are taken. It has the time of a call and that of its bytes at 1 Mbit/s, of 100 MiB where its
    /// size isn't known. Refused with 404 the place is out of date.
    pub async fn download(&self, place: &MediaPlace) -> Called<Result<Download, Outcome>> {
        let endpoint = self.endpoint();
        let url = match way(endpoint, &place.url) {
            Ok(url) => url,
            Err(reason) => return not_sent(reason),
        };
        let wire = match self.wire() {
            Ok(wire) => wire,
            Err(error) => return not_sent(&error.to_string()),
        };
        let time = self.time_for(place.file_size.unwrap_or(UPLOAD_BYTES_MAX).min(UPLOAD_BYTES_MAX));
        let begun = Instant::now();
        let request = endpoint.sign(wire.client.get(url)).timeout(time);
        let answer = match wire.begin(request).await {
            Ok(answer) => answer,
            Err(Unanswered { outcome, dialled }) => {
                let latency = begun.elapsed();
                return Called { latency, dialled, ..Called::undialled(Err(outcome)) };
            }
        };
        if answer.status() != 200 {
            let heard = Heard::out(endpoint, answer, begun).await;
            return heard.judged(|heard| {
                let (head, body) = heard?;
                judge(head.status, body, head.retry_after_ms, |_| None)
            });
        }
        let head = Head::of(&answer);
        Called {
            outcome: take(answer),
            latency: begun.elapsed(),
            date_ms: head.date_ms,
            throttle: head.throttle,
            status: Some(head.status),
            dialled: true,
        }
    }
}

fn take(answer: Response) -> Result<Download, Outcome> {
    let length = answer.content_length();
    if length.is_some_and(|length| length > UPLOAD_BYTES_MAX) {
        return Err(Outcome::Unknown { reason: TOO_LARGE.to_owned() });
    }
    let content_type = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(clean);
    let portions = answer.bytes_stream().map(|portion| match portion {
        Ok(portion) => Ok(portion.into()),
        Err(error) => Err(io::Error::other(unknown(&error))),
    });
    Ok(Download { content_type, length, bytes: Box::pin(bounded(portions, UPLOAD_BYTES_MAX)) })
}

const TOO_LARGE: &str = "the file is larger than WhatsApp has any: 100 MiB";

/// Ends with an error behind `most` bytes, or behind the first error.
fn bounded(
    portions: impl Stream<Item = io::Result<Vec<u8>>> + Send + 'static,
    most: u64,
) -> impl Stream<Item = io::Result<Vec<u8>>> + Send + 'static {
    stream::unfold(Some((Box::pin(portions), most)), |state| async move {
        let (mut portions, left) = state?;
        let portion = match portions.next().await? {
            Ok(portion) => portion,
            Err(error) => return Some((Err(error), None)),
        };
        match left.checked_sub(portion.len() as u64) {
            Some(left) => Some((Ok(portion), Some((portions, left)))),
            None => Some((Err(io::Error::other(TOO_LARGE)), None)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn come(list: Vec<io::Result<Vec<u8>>>, most: u64) -> (usize, bool) {
        let mut portions = Box::pin(bounded(stream::iter(list), most));
        let (mut bytes, mut failed) = (0, false);
        while let Some(portion) = portions.next().await {
            assert!(!failed, "nothing comes behind an error");
            match portion {
                Ok(portion) => bytes += portion.len(),
                Err(_) => failed = true,
            }
        }
        (bytes, failed)
    }

    #[tokio::test]
    async fn a_file_ends_where_it_is_too_large_or_breaks_off() {
        let portions = |sizes: &[usize]| sizes.iter().map(|size| Ok(vec![0; *size])).collect::<Vec<_>>();
        assert_eq!(come(portions(&[]), 5).await, (0, false));
        assert_eq!(come(portions(&[2, 0, 3]), 5).await, (5, false));
        assert_eq!(come(portions(&[2, 4, 1]), 5).await, (2, true));
        let mut broken = portions(&[2, 2]);
        broken.insert(1, Err(io::Error::other("gone")));
        assert_eq!(come(broken, 5).await, (2, true));
    }
}
