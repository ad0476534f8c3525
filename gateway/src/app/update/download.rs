//! Fetching a bundle: over as many connections as it takes, within bounds.

use std::error::Error as _;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use reqwest::header::{ACCEPT_ENCODING, IF_RANGE, RANGE};
use reqwest::{Client, Response, Url};
use ring::rand::SecureRandom as _;
use tokio::time::timeout;

use super::job::Stage;
use super::pipe::Inlet;
use super::resume::{self, Got, Head, Next};
use super::running::{Fed, Feed, Running};
use super::{Pace, Refused};

/// Places that a file may be pointed on to.
const REDIRECTS_MAX: usize = 5;

/// A file that is fetched.
pub(super) struct Download<'a> {
    http: &'a Client,
    url: &'a Url,
    pace: Pace,
    got: Got,
    /// In a row.
    failures: u32,
}

/// What came of one connection.
enum Attempt {
    Ended(Fed),
    Later { why: String, retry_after: Option<Duration> },
}

impl<'a> Download<'a> {
    pub(super) fn new(http: &'a Client, url: &'a Url, pace: Pace) -> Self {
        Self { http, url, pace, got: Got::default(), failures: 0 }
    }
}

impl Feed for Download<'_> {
    async fn feed(&mut self, inlet: &Inlet, running: &Running) -> Fed {
        loop {
            let (why, retry_after) = match self.attempt(inlet, running).await {
                Attempt::Ended(fed) => return fed,
                Attempt::Later { why, retry_after } => (why, retry_after),
            };
            self.failures = self.failures.saturating_add(1);
            tracing::info!(
                why,
                have = self.got.have,
                "the update can't be fetched just now; it goes on later"
            );
            running.change(|job| (job.stage, job.detail) = (Stage::Waiting, Some(why)));
            let mut chance = [0; 2];
            // Without chance all boxes of a fleet come at the same moment, which is no more than a nuisance.
            let _ = ring::rand::SystemRandom::new().fill(&mut chance);
            let wait = resume::wait(self.failures, retry_after, u16::from_ne_bytes(chance));
            tokio::select! {
                () = tokio::time::sleep(wait.min(self.pace.wait_max)) => {}
                () = inlet.gone() => return Fed::Gone,
            }
        }
    }
}

impl Download<'_> {
    /// Asks once, wherever that leads.
    async fn attempt(&mut self, inlet: &Inlet, running: &Running) -> Attempt {
        if self.got.have > 0 && !resume::may_resume(&self.got) {
            return Attempt::Ended(Fed::Anew);
        }
        running.change(|job| job.tries = job.tries.saturating_add(1));
        let mut url = self.url.clone();
        for _ in 0..=REDIRECTS_MAX {
            let answer = match timeout(self.pace.head, self.ask(url.clone())).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(error)) => return later(format!("no answer came: {}", innermost(error))),
                Err(_) => return later("no answer came in time".to_owned()),
            };
            let head = Head::read(answer.status().as_u16(), answer.headers());
            match resume::judge(&self.got, &head) {
                Next::Take { skip, got } => {
                    self.got = got;
                    return self.take(answer, skip, inlet, running).await;
                }
                Next::Complete => return Attempt::Ended(Fed::All),
                Next::Anew => return Attempt::Ended(Fed::Anew),
                Next::Later { why, retry_after } => return Attempt::Later { why, retry_after },
                Next::Never(why) => return never(why),
                Next::Redirect(location) => match onwards(&url, &location) {
                    Ok(next) => url = next,
                    Err(why) => return never(why.to_owned()),
                },
            }
        }
        never(format!("the server points elsewhere more than {REDIRECTS_MAX} times"))
    }

    async fn ask(&self, url: Url) -> Result<Response, reqwest::Error> {
        let mut request = self.http.get(url).header(ACCEPT_ENCODING, "identity");
        if let (true, Some(validator)) = (resume::may_resume(&self.got), &self.got.validator) {
            request = request.header(RANGE, format!("bytes={}-", self.got.have)).header(IF_RANGE, validator);
        }
        request.send().await
    }

    /// Takes the body, behind `skip` bytes that are known already.
    async fn take(
        &mut self,
        mut answer: Response,
        mut skip: u64,
        inlet: &Inlet,
        running: &Running,
    ) -> Attempt {
        if let Some(total) = self.got.total
            && let Err(error) = running.total(total)
        {
            return Attempt::Ended(Fed::Ended(error.into()));
        }
        loop {
            let mut portion: Bytes = match timeout(self.pace.stall, answer.chunk()).await {
                Ok(Ok(Some(portion))) => portion,
                Ok(Ok(None)) => break,
                Ok(Err(error)) => return later(format!("the connection broke: {}", innermost(error))),
                Err(_) => return later("nothing came for too long".to_owned()),
            };
            let known = portion.len().min(usize::try_from(skip).unwrap_or(usize::MAX));
            portion.advance(known);
            skip -= known as u64;
            if portion.is_empty() {
                continue;
            }
            self.failures = 0;
            let bytes = portion.len() as u64;
            if let Err(error) = running.received(bytes) {
                return Attempt::Ended(Fed::Ended(error.into()));
            }
            if inlet.give(portion).await.is_err() {
                return Attempt::Ended(Fed::Gone);
            }
            self.got.have += bytes;
        }
        if self.got.total.is_some_and(|total| self.got.have < total) {
            return later("the connection ended before the file".to_owned());
        }
        Attempt::Ended(Fed::All)
    }
}

/// Where a redirect leads: never from https to plain http.
fn onwards(from: &Url, location: &str) -> Result<Url, &'static str> {
    let next = from.join(location).map_err(|_| "the server points to what is no address")?;
    match (from.scheme(), next.scheme()) {
        ("https", "http") => Err("the server points from https to plain http, which isn't followed"),
        (_, "http" | "https") => Ok(next),
        _ => Err("the server points to what is neither http nor https"),
    }
}

fn later(why: String) -> Attempt {
    Attempt::Later { why, retry_after: None }
}

fn never(why: String) -> Attempt {
    Attempt::Ended(Fed::Ended(Refused::Broken(why)))
}

/// The first cause, in its own words: those around it may hold the URL.
fn innermost(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause = error.source();
    while let Some(deeper) = cause.and_then(std::error::Error::source) {
        cause = Some(deeper);
    }
    cause.map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_never_leads_from_https_to_http() {
        let at = |text: &str| Url::parse(text).unwrap();
        let https = at("https://updates.example/a/b");
        assert_eq!(onwards(&https, "c").unwrap().as_str(), "https://updates.example/a/c");
        assert_eq!(onwards(&at("http://u.example/"), "https://cdn.example/x").unwrap().scheme(), "https");
        assert!(onwards(&at("http://u.example/"), "http://cdn.example/x").is_ok());
        for bad in ["http://updates.example/c", "file:///etc/passwd", "https://"] {
            assert!(onwards(&https, bad).is_err(), "{bad}");
        }
    }
}
