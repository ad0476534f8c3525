//! What Graph answers to each request.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request};
use serde_json::json;

use super::front::{Dialect, Front};
use super::refusal::Refusal;
use super::route::Route;
use super::rules::Manner;
use super::shared::Shared;
use super::speech::{Answer, Ends, Speech, add_usage, file, no, yes};
use super::world::{Say, Verdict};
use super::{about, configure, media};

/// The longest message that is read; Graph's own bound isn't documented.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// The longest upload: a document of 100 MB and the form around it.
const MEDIA_BYTES_MAX: usize = 101 * 1024 * 1024;
/// How long an answer waits for the status that is to come before it.
const EARLY_WAITS: Duration = Duration::from_secs(5);

/// Answers a request; an error ends the connection without an answer.
pub(crate) async fn answer(
    shared: &Arc<Shared>,
    front: &Front,
    request: Request<Incoming>,
) -> Result<Answer, Ends> {
    let post = request.method() == Method::POST;
    let route = if post || request.method() == Method::GET {
        Route::of(post, request.uri().path(), request.uri().query().unwrap_or_default())
    } else {
        Route::Unknown
    };
    let provider = front.is_three_sixty(request.headers());
    let asked = if let Route::Node { id, .. } = &route
        && shared.world().know(id).is_ok()
    {
        Some(id.as_str())
    } else {
        route.number()
    };
    let number = asked.unwrap_or_else(|| shared.first_number()).to_owned();
    let _call = UnderWay::begin(shared, front, &number);
    let verdict = match judge(shared, front, &route, &number, request).await {
        Ok(verdict) => verdict,
        Err(refusal) => {
            let say = shared.world().refuse(refusal);
            Verdict::plain(say)
        }
    };
    say(shared, front, verdict, provider).await
}

/// Checks who asks, reads what is asked and has it decided.
async fn judge(
    shared: &Arc<Shared>,
    front: &Front,
    route: &Route,
    number: &str,
    request: Request<Incoming>,
) -> Result<Verdict, Refusal> {
    let (head, body) = request.into_parts();
    front.admit(&head.headers)?;
    front.knows(route, head.uri.path())?;
    let door = front.place;
    match route {
        Route::Messages { .. } => {
            let body = read(body, MESSAGE_BYTES_MAX).await?;
            let (mut world, now_ms, day) = shared.world_now();
            world.know(number)?;
            let verdict = world.post(door, number, &body, now_ms, day);
            drop(world);
            Ok(verdict)
        }
        Route::Media { .. } => {
            let body = read(body, MEDIA_BYTES_MAX).await?;
            let form = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
            let file = media::read(form.unwrap_or_default(), &body)?;
            let mut world = shared.world();
            world.know(number)?;
            Ok(world.other(door, |world| {
                world.book.sums.uploads += 1;
                Say::Yes(json!({ "id": world.keep(file) }))
            }))
        }
        Route::Node { id, fields } => node(shared, front, id, fields),
        Route::Download { id, ends, hash } => {
            let (mut world, now_ms, _) = shared.world_now();
            let file = world.files.behind(id, ends, hash, now_ms.div_euclid(1_000)).cloned();
            let file = file.ok_or_else(Refusal::not_found)?;
            Ok(world.other(door, |_| Say::File(file)))
        }
        Route::Configure { .. } => {
            let body = read(body, MESSAGE_BYTES_MAX).await?;
            configure::number(shared, front, number, &body).await
        }
        Route::Settings { .. } => {
            let mut world = shared.world();
            world.know(number)?;
            Ok(world.other(door, |world| Say::Yes(about::settings(&world.setup))))
        }
        Route::Subscriptions { account, post } => {
            if account != shared.waba_id() {
                return Err(no_object(account));
            }
            if *post {
                let body = read(body, MESSAGE_BYTES_MAX).await?;
                return configure::account(shared, front, &body).await;
            }
            Ok(shared.world().other(door, |world| Say::Yes(about::subscribed_apps(shared, &world.setup))))
        }
        Route::DebugToken { token } => {
            let valid = front.lets_in(Some(token));
            let issued_s = shared.started_s();
            Ok(shared.world().other(door, |world| Say::Yes(about::token(&world.setup, valid, issued_s))))
        }
        Route::Health => {
            Ok(shared.world().other(door, |world| Say::Yes(about::health(shared, world, front, number))))
        }
        Route::Unknown => Err(Refusal::because(100, "Unsupported request.")),
    }
}

/// `GET /{id}`: a file, or else a number. A provider only tells of files.
fn node(shared: &Shared, front: &Front, id: &str, fields: &[String]) -> Result<Verdict, Refusal> {
    let (mut world, now_ms, _) = shared.world_now();
    let about = world.files.about(id, &front.media_base(), now_ms.div_euclid(1_000));
    if let Some(about) = about {
        return Ok(world.other(front.place, |_| Say::Yes(about)));
    }
    let known = match front.settings.dialect {
        Dialect::ThreeSixty => Err(no_object(id)),
        Dialect::Any | Dialect::Meta => world.know(id),
    };
    known?;
    Ok(world.other(front.place, |world| Say::Yes(about::number(shared, world, front, id, fields))))
}

fn no_object(id: &str) -> Refusal {
    Refusal::because(100, format!("Unsupported request. Object with ID '{id}' does not exist."))
}

/// Gives the answer in its manner.
async fn say(shared: &Arc<Shared>, front: &Front, verdict: Verdict, provider: bool) -> Result<Answer, Ends> {
    let Verdict { say, manner, statuses, posting } = verdict;
    if let Some(posting) = posting {
        shared.show(posting);
    }
    // A message without a webhook to tell of it has no early status to wait for.
    if let Some((told, planned)) = statuses
        && let Some(early) = shared.tell(&told, planned)
    {
        // The answer comes anyhow when the box doesn't take the webhook.
        let _ = tokio::time::timeout(EARLY_WAITS, early.notified()).await;
    }
    match manner {
        Manner::After(ms) => tokio::time::sleep(milliseconds(ms)).await,
        Manner::Silent(ms) => return silence(ms).await,
        Manner::Plain | Manner::Half => {}
    }
    let mut answer = match say {
        Say::Nothing(ms) => return silence(ms).await,
        Say::Yes(body) => yes(&body),
        Say::File(held) => file(held.bytes, &held.mime),
        Say::No(refusal) => no(&refusal, provider, shared.world().next_number()),
    };
    if let Some((percent, regain_minutes)) = shared.world().throttle(front.place) {
        add_usage(&mut answer, shared.waba_id(), percent, regain_minutes);
    }
    Ok(if manner == Manner::Half { answer.map(Speech::halved) } else { answer })
}

async fn silence(ms: u32) -> Result<Answer, Ends> {
    tokio::time::sleep(milliseconds(ms)).await;
    Err(Ends)
}

fn milliseconds(ms: u32) -> Duration {
    Duration::from_millis(u64::from(ms))
}

async fn read(body: Incoming, most: usize) -> Result<bytes::Bytes, Refusal> {
    let read = Limited::new(body, most).collect().await;
    read.map(http_body_util::Collected::to_bytes)
        .map_err(|_| Refusal::because(100, "The body is too long or broke off."))
}

/// A call that is under way; it's over when this is dropped, even if the caller left.
struct UnderWay<'a> {
    shared: &'a Shared,
    number: &'a str,
}

impl<'a> UnderWay<'a> {
    fn begin(shared: &'a Shared, front: &Front, number: &'a str) -> Self {
        let (mut world, _, day) = shared.world_now();
        world.begin(front.place, number, day);
        drop(world);
        Self { shared, number }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.shared.world().book.end(self.number);
    }
}
