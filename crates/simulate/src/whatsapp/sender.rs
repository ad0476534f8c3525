//! Sends webhooks as Meta does, over several connections, and keeps book.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request};
use model::signature::hub;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::connection::{Connection, Failure, Target};
use super::redirects::Redirects;
use super::report::{Acknowledged, Progress, Report};
use super::schedule::{Pace, Retry, Schedule, Step};
use super::supply::{Signed, Supply};
use crate::event::Events;
use crate::{Event, Journeys};

/// How long Meta is said to wait for an answer.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection rests after it couldn't be opened.
const RECONNECT_PAUSE: Duration = Duration::from_millis(20);

/// How webhooks are sent.
#[derive(Debug, Clone)]
pub struct SenderOptions {
    /// Where to.
    pub target: Target,
    /// How fast.
    pub pace: Pace,
    /// What becomes of those that fail.
    pub retry: Retry,
    /// How long an answer may take.
    pub answer_timeout: Duration,
    /// How long repetitions go on after the last new webhook.
    pub drain: Duration,
    /// Whether the report names all that was acknowledged (about 200 bytes of memory each).
    pub keep_acknowledged: bool,
}

impl SenderOptions {
    /// To `target` as fast as it answers, failures repeated later.
    #[must_use]
    pub fn new(target: Target) -> Self {
        Self {
            target,
            pace: Pace::Saturate,
            retry: Retry::Later(super::schedule::Backoff::default()),
            answer_timeout: ANSWER_TIMEOUT,
            drain: Duration::from_secs(30),
            keep_acknowledged: false,
        }
    }
}

/// Ends a run: what is in flight is finished, repetitions go on for [`SenderOptions::drain`].
#[derive(Debug, Clone)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Stop {
    /// No new webhooks from now on.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

/// The simulated Meta.
#[derive(Debug)]
pub struct Sender {
    options: SenderOptions,
    events: Events,
    journeys: Option<Arc<Journeys>>,
    redirects: Option<(Redirects, Arc<str>)>,
    progress: Arc<Progress>,
    stop: Stop,
}

impl Sender {
    /// Prepares a run.
    #[must_use]
    pub fn new(options: SenderOptions) -> Self {
        Self {
            options,
            events: Events::default(),
            journeys: None,
            redirects: None,
            progress: Arc::default(),
            stop: Stop(Arc::new(watch::Sender::new(false))),
        }
    }

    /// Notes every item's first sending there.
    #[must_use]
    pub fn with_journeys(mut self, journeys: Arc<Journeys>) -> Self {
        self.journeys = Some(journeys);
        self
    }

    /// Sends webhooks about numbers with an override there; those that don't say what number they are
    /// about are about `number`.
    #[must_use]
    pub fn with_redirects(mut self, redirects: Redirects, number: &str) -> Self {
        self.redirects = Some((redirects, number.into()));
        self
    }

    /// Where to listen to what happens.
    #[must_use]
    pub const fn events(&self) -> &Events {
        &self.events
    }

    /// Counters that can be read while the run goes on.
    #[must_use]
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// What ends the run.
    #[must_use]
    pub fn stopper(&self) -> Stop {
        self.stop.clone()
    }

    /// Sends each supply over a connection of its own until all are used up or the run is stopped.
    /// Dropping the future ends everything at once.
    pub async fn run(self, supplies: Vec<Supply>) -> Report {
        let run = Arc::new(self);
        let of = u32::try_from(supplies.len()).unwrap_or(u32::MAX);
        // Opened beforehand, so that the first latencies aren't those of handshakes.
        let mut connections = Vec::with_capacity(supplies.len());
        for _ in 0..of {
            match Connection::open(&run.options.target, run.options.answer_timeout).await {
                Ok(connection) => connections.push(connection),
                Err(_) => break,
            }
        }
        let opened = connections.len() as u64;
        let mut connections = connections.into_iter();
        let start = Instant::now();
        let mut lanes = JoinSet::new();
        for (number, supply) in (0..of).zip(supplies) {
            let lane = Lane {
                schedule: Schedule::new(run.options.pace, run.options.retry, number, of, start),
                connection: connections.next().map(|connection| (None, connection)),
                supply,
                report: Report::default(),
                run: Arc::clone(&run),
            };
            lanes.spawn(lane.run());
        }
        let mut report = Report { connections: opened, ..Report::default() };
        while let Some(lane) = lanes.join_next().await {
            match lane {
                Ok(lane) => report.add(lane),
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                Err(_) => {}
            }
        }
        report.took = start.elapsed();
        report
    }

    /// Where a webhook goes now; `None` for the usual target.
    fn elsewhere(&self, webhook: &Signed) -> Option<Arc<Target>> {
        let (redirects, number) = self.redirects.as_ref()?;
        redirects.target(webhook.number.as_ref().unwrap_or(number))
    }

    fn request(&self, webhook: &Signed, target: &Target) -> Request<Full<Bytes>> {
        const SIGNATURE: HeaderName = HeaderName::from_static(hub::HEADER);
        let mut request = Request::new(Full::new(webhook.body.bytes.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = target.path.clone();
        let headers = request.headers_mut();
        headers.insert(HOST, target.host_header.clone());
        headers.insert(USER_AGENT, HeaderValue::from_static("facebookexternalua"));
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(SIGNATURE, webhook.signature.clone());
        request
    }
}

/// One connection at work.
struct Lane {
    run: Arc<Sender>,
    supply: Supply,
    schedule: Schedule<Signed>,
    /// With where it leads to, which is `None` for the usual target.
    connection: Option<(Option<Arc<Target>>, Connection)>,
    report: Report,
}

impl Lane {
    async fn run(mut self) -> Report {
        let mut stop = self.run.stop.0.subscribe();
        let mut deadline = None;
        loop {
            let now = Instant::now();
            if deadline.is_none() && *stop.borrow() {
                self.schedule.close();
                deadline = Some(now + self.run.options.drain);
            }
            if deadline.is_some_and(|deadline| now >= deadline) {
                break;
            }
            match self.schedule.next(now) {
                Step::Fresh { from } => {
                    let made = self.supply.is_made();
                    let due = self.schedule.due();
                    let next = tokio::select! {
                        biased;
                        next = self.supply.next() => next,
                        // What failed before isn't held up by what hasn't come yet.
                        () = until(due) => continue,
                        _ = stop.changed(), if deadline.is_none() => continue,
                    };
                    match next {
                        Some(webhook) => {
                            self.report.webhooks += 1;
                            self.run.progress.webhooks.fetch_add(1, Ordering::Relaxed);
                            let from = if made { from } else { Instant::now() };
                            self.send(webhook, 1, from).await;
                        }
                        None => {
                            self.schedule.close();
                            deadline = Some(now + self.run.options.drain);
                        }
                    }
                }
                Step::Again { webhook, attempts, from } => self.send(webhook, attempts + 1, from).await,
                Step::Wait(until) => {
                    let until = deadline.map_or(until, |deadline| until.min(deadline));
                    tokio::select! {
                        () = tokio::time::sleep_until(until.into()) => {}
                        // The stop is held by the run itself, so this can't fail.
                        _ = stop.changed(), if deadline.is_none() => {}
                    }
                }
                Step::Done => break,
            }
        }
        let open = self.schedule.into_waiting().map(|webhook| webhook.body.items);
        self.report.unacknowledged.extend(open);
        self.report
    }

    async fn send(&mut self, webhook: Signed, attempt: u32, from: Instant) {
        let run = Arc::clone(&self.run);
        let sent = Instant::now();
        if let Some(journeys) = run.journeys.as_ref().filter(|_| attempt == 1) {
            for item in webhook.body.items.iter().filter(|item| !item.repeat) {
                journeys.sent(&item.id, from);
            }
        }
        let items = || Arc::clone(&webhook.body.items);
        run.events.tell(|| Event::Sent { items: items(), bytes: webhook.body.bytes.len(), attempt });
        let outcome = self.attempt(&webhook).await;
        let now = Instant::now();
        self.schedule.finished(now);
        match &outcome {
            Ok(status) => {
                let after = now.saturating_duration_since(sent);
                run.events.tell(|| Event::Answered { items: items(), status: *status, after });
            }
            Err(failure) => {
                run.events.tell(|| Event::Unanswered { items: items(), why: failure.to_string() });
            }
        }
        if let Ok(200) = outcome {
            self.acknowledged(&webhook, from, now);
            return;
        }
        if let Ok(status) = outcome {
            *self.report.refused.entry(status).or_default() += 1;
        }
        run.progress.failed.fetch_add(1, Ordering::Relaxed);
        if let Some(given_up) = self.schedule.failed(webhook, attempt, now) {
            self.report.unacknowledged.push(given_up.body.items);
        }
    }

    fn acknowledged(&mut self, webhook: &Signed, from: Instant, at: Instant) {
        self.report.acked += 1;
        self.report.acked_items += webhook.body.items.len() as u64;
        self.report.latency.record(at.saturating_duration_since(from));
        if self.run.options.keep_acknowledged {
            self.report.acknowledged.push(Acknowledged { items: Arc::clone(&webhook.body.items), at });
        }
        self.run.progress.acked.fetch_add(1, Ordering::Relaxed);
        for waiting in &webhook.waited_for {
            waiting.notify_one();
        }
    }

    /// One request, over a new connection if need be. Gives the status.
    async fn attempt(&mut self, webhook: &Signed) -> Result<u16, Failure> {
        let timeout = self.run.options.answer_timeout;
        let elsewhere = self.run.elsewhere(webhook);
        let open = self.connection.take().filter(|(to, connection)| {
            connection.is_usable() && to.as_ref().map(Arc::as_ptr) == elsewhere.as_ref().map(Arc::as_ptr)
        });
        let run = Arc::clone(&self.run);
        let target = elsewhere.as_deref().unwrap_or(&run.options.target);
        let mut connection = match open {
            Some((_, connection)) => connection,
            None => match Connection::open(target, timeout).await {
                Ok(connection) => {
                    self.report.connections += 1;
                    connection
                }
                Err(failure) => {
                    self.report.unreachable += 1;
                    tokio::time::sleep(RECONNECT_PAUSE).await;
                    return Err(failure);
                }
            },
        };
        self.report.requests += 1;
        match connection.exchange(self.run.request(webhook, target), timeout).await {
            Ok(answer) => {
                self.connection = Some((elsewhere, connection));
                Ok(answer.status().as_u16())
            }
            Err(failure) => {
                self.report.broken += 1;
                Err(failure)
            }
        }
    }
}

/// Waits until then; for ever where there is no such time.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}
