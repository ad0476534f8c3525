//! What Graph answers to each request.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use hyper::{Method, Request};
use serde_json::{Value, json};

use super::media;
use super::refusal::Refusal;
use super::route::Route;
use super::rules::Manner;
use super::server::Shared;
use super::speech::{Answer, Ends, Speech, add_usage, no, yes};
use super::world::{Say, Verdict};

/// The longest message that is read; Graph's own bound isn't documented.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// The longest upload: a document of 100 MB and the form around it.
const MEDIA_BYTES_MAX: usize = 101 * 1024 * 1024;
/// How long an answer waits for the status that is to come before it.
const EARLY_WAITS: Duration = Duration::from_secs(5);
/// The header of 360dialog, which holds the key as it is.
const BSP_HEADER: &str = "d360-api-key";

/// Answers a request; an error ends the connection without an answer.
pub(crate) async fn answer(shared: &Arc<Shared>, request: Request<Incoming>) -> Result<Answer, Ends> {
    let post = request.method() == Method::POST;
    let route = if post || request.method() == Method::GET {
        Route::of(post, request.uri().path(), request.uri().query().unwrap_or_default())
    } else {
        Route::Unknown
    };
    let bsp = request.headers().contains_key(BSP_HEADER);
    let number = match &route {
        Route::Messages { number: Some(number) } | Route::Media { number: Some(number) } => number.clone(),
        Route::Number { number, .. } => number.clone(),
        Route::Messages { number: None }
        | Route::Media { number: None }
        | Route::DebugToken { .. }
        | Route::Health
        | Route::Unknown => shared.first_number().to_owned(),
    };
    let _call = UnderWay::begin(shared, &number);
    let verdict = match judge(shared, &route, &number, request).await {
        Ok(verdict) => verdict,
        Err(refusal) => {
            let say = shared.world().refuse(refusal);
            Verdict::plain(say)
        }
    };
    say(shared, verdict, bsp).await
}

/// Checks who asks, reads what is asked and has it decided.
async fn judge(
    shared: &Arc<Shared>,
    route: &Route,
    number: &str,
    request: Request<Incoming>,
) -> Result<Verdict, Refusal> {
    let (head, body) = request.into_parts();
    if !shared.lets_in(key(&head.headers)) {
        return Err(Refusal::because(190, "Invalid OAuth access token - Cannot parse access token"));
    }
    match route {
        Route::Messages { .. } => {
            let body = read(body, MESSAGE_BYTES_MAX).await?;
            let (mut world, now_ms, day) = shared.world_now();
            world.know(number)?;
            let verdict = world.post(number, &body, now_ms, day);
            drop(world);
            Ok(verdict)
        }
        Route::Media { .. } => {
            let body = read(body, MEDIA_BYTES_MAX).await?;
            let form = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
            media::read(form.unwrap_or_default(), &body)?;
            let mut world = shared.world();
            world.know(number)?;
            Ok(world.other(|world| {
                world.book.sums.uploads += 1;
                // Fifteen digits, as media ids have.
                json!({ "id": (10_u64.pow(15) + world.next_number()).to_string() })
            }))
        }
        Route::Number { fields, .. } => {
            let mut world = shared.world();
            world.know(number)?;
            Ok(world.other(|_| about_number(shared, number, fields)))
        }
        Route::DebugToken { token } => {
            let valid = shared.lets_in(Some(token));
            Ok(shared.world().other(|_| about_token(valid, shared.started_s())))
        }
        Route::Health => Ok(shared.world().other(|_| health(number))),
        Route::Unknown => Err(Refusal::because(100, "Unsupported request.")),
    }
}

/// Gives the answer in its manner.
async fn say(shared: &Arc<Shared>, verdict: Verdict, bsp: bool) -> Result<Answer, Ends> {
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
        Say::No(refusal) => no(&refusal, bsp, shared.world().next_number()),
    };
    if let Some((percent, regain_minutes)) = shared.world().rules.throttle {
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

/// The key that a request brings.
fn key(headers: &HeaderMap) -> Option<&str> {
    let bsp = headers.get(BSP_HEADER).and_then(|value| value.to_str().ok());
    let bearer = || headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ");
    bsp.or_else(bearer)
}

async fn read(body: Incoming, most: usize) -> Result<bytes::Bytes, Refusal> {
    let read = Limited::new(body, most).collect().await;
    read.map(http_body_util::Collected::to_bytes)
        .map_err(|_| Refusal::because(100, "The body is too long or broke off."))
}

/// What Graph knows of a number, or of it what is asked for.
fn about_number(shared: &Shared, number: &str, fields: &[String]) -> Value {
    let all = json!({
        "verified_name": "Simulated store",
        "display_phone_number": shared.display_phone_number(),
        "quality_rating": "GREEN",
        "code_verification_status": "VERIFIED",
        "name_status": "APPROVED",
        "platform_type": "CLOUD_API",
        "status": "CONNECTED",
        "throughput": { "level": "STANDARD" },
        "whatsapp_business_manager_messaging_limit": "TIER_250",
        "health_status": health(number)["health_status"],
    });
    let usual = ["verified_name", "code_verification_status", "display_phone_number", "quality_rating"];
    let mut about = json!({ "id": number });
    if fields.is_empty() {
        for field in usual {
            about[field] = all[field].clone();
        }
    }
    for field in fields {
        if let Some(value) = all.get(field) {
            about[field.as_str()] = value.clone();
        }
    }
    about
}

fn health(number: &str) -> Value {
    let entity =
        |kind: &str, id: &str| json!({ "entity_type": kind, "id": id, "can_send_message": "AVAILABLE" });
    json!({ "health_status": {
        "can_send_message": "AVAILABLE",
        "entities": [entity("PHONE_NUMBER", number), entity("WABA", "102290129340398"), entity("APP", "1")],
    } })
}

fn about_token(valid: bool, issued_s: i64) -> Value {
    json!({ "data": {
        "app_id": "1", "type": "SYSTEM_USER", "application": "simulated", "is_valid": valid,
        "issued_at": issued_s, "expires_at": 0, "data_access_expires_at": 0,
        "scopes": ["whatsapp_business_messaging", "whatsapp_business_management"],
    } })
}

/// A call that is under way; it's over when this is dropped, even if the caller left.
struct UnderWay<'a> {
    shared: &'a Shared,
    number: &'a str,
}

impl<'a> UnderWay<'a> {
    fn begin(shared: &'a Shared, number: &'a str) -> Self {
        let (mut world, _, day) = shared.world_now();
        world.book.begin(number, day);
        drop(world);
        Self { shared, number }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.shared.world().book.end(self.number);
    }
}
