//! What WhatsApp does: a stream of webhooks, or one at a time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use model::signature::hub::{self, AppSecret};
use reqwest::{Client, Response};
use simulate::Item;
use simulate::whatsapp::{
    Backoff, Pace, PayloadOptions, Payloads, Progress, Redirects, Report, Retry, Sender, SenderOptions, Stop,
    Supply, Target,
};
use tokio::task::JoinHandle;

use super::Site;

pub(crate) const APP_SECRET: &str = "the secret of the app";

/// What the webhooks are signed with.
pub(crate) fn secret() -> AppSecret {
    AppSecret::new(APP_SECRET.as_bytes())
}

/// Repetitions come soon, since the program is back soon.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(25), longest: Duration::from_millis(200) };

/// A stream of webhooks over several connections that goes on in the background. What one contact
/// writes is acknowledged in order.
pub(crate) struct Load {
    progress: Arc<Progress>,
    stop: Stop,
    run: JoinHandle<Report>,
}

impl Load {
    /// Begins; `count` webhooks per connection, or until it is stopped.
    pub(crate) fn start(
        site: &Site,
        options: &PayloadOptions,
        connections: u32,
        pace: Pace,
        count: Option<usize>,
    ) -> Self {
        Self::start_following(site, options, connections, pace, count, Redirects::default())
    }

    /// The same for a number whose webhooks may be sent elsewhere meanwhile.
    pub(crate) fn start_following(
        site: &Site,
        options: &PayloadOptions,
        connections: u32,
        pace: Pace,
        count: Option<usize>,
        redirects: Redirects,
    ) -> Self {
        let mut sender = SenderOptions::new(Target::parse(&site.webhook_url()).unwrap());
        sender.pace = pace;
        sender.retry = Retry::InOrder(BACKOFF);
        sender.keep_acknowledged = true;
        let sender = Sender::new(sender).with_redirects(redirects, &options.phone_number_id);
        let (progress, stop) = (sender.progress(), sender.stopper());
        let supplies = Payloads::lanes(options, connections).into_iter().map(|lane| match count {
            Some(count) => Supply::limited(lane, secret(), count),
            None => Supply::live(lane, secret()),
        });
        let run = tokio::spawn(sender.run(supplies.collect()));
        Self { progress, stop, run }
    }

    /// Webhooks acknowledged so far.
    pub(crate) fn acked(&self) -> u64 {
        self.progress.counts().acked
    }

    /// Ends the stream, what is open included.
    pub(crate) async fn stop(self) -> Report {
        self.stop.stop();
        self.run.await.unwrap()
    }

    /// Waits for a limited stream to end by itself.
    pub(crate) async fn finish(self) -> Report {
        self.run.await.unwrap()
    }
}

/// Texts and names of what was sent that are long enough to be told from ordinary words.
pub(crate) fn words<'a>(items: impl IntoIterator<Item = &'a Item>) -> BTreeSet<String> {
    let words = items.into_iter().flat_map(|item| [item.text.to_owned(), item.name.to_string()]);
    words.filter(|word| word.chars().count() >= 8).collect()
}

/// Posts single webhooks.
#[derive(Clone)]
pub(crate) struct Poster {
    http: Client,
    url: String,
}

impl Poster {
    pub(crate) fn new(site: &Site) -> Self {
        let http = Client::builder()
            .tls_backend_preconfigured(super::accept_any())
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(30))
            .build();
        Self { http: http.unwrap(), url: site.webhook_url() }
    }

    /// A request of any kind to the public side, not sent yet; `path` goes behind the host.
    pub(crate) fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let base = self.url.strip_suffix("/webhook").unwrap();
        self.http.request(method, format!("{base}{path}"))
    }

    /// Posts a body under a signature.
    pub(crate) async fn post_signed(
        &self,
        body: impl Into<Bytes>,
        signature: &str,
    ) -> reqwest::Result<Response> {
        self.http.post(&self.url).header(hub::HEADER, signature).body(body.into()).send().await
    }

    /// Posts a body, rightly signed.
    pub(crate) async fn post(&self, body: impl Into<Bytes>) -> reqwest::Result<Response> {
        let body = body.into();
        let signature = secret().sign(&body);
        self.post_signed(body, &signature).await
    }

    /// The same; gives the status of the answer that must come.
    pub(crate) async fn status(&self, body: impl Into<Bytes>) -> u16 {
        self.post(body).await.unwrap().status().as_u16()
    }
}
