//! What each address of the page does.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::Response;
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use board::wire::NamedFile;
use tokio::sync::Semaphore;

use super::fields::{self, Files, Typed};
use super::guard::{Claim, Guard, Session};
use super::multipart::{self, Part};
use super::pages;
use super::told::{Told, told};

/// Bytes of a request's body, at most.
const BODY_MAX: usize = 1024 * 1024;
/// Time for a body to come.
const BODY_TIME: Duration = Duration::from_secs(30);
/// Bodies in memory at once.
const BODIES: usize = 4;
/// Bytes of a configuration with all its files: in base64 they have to fit into one line of [`board::wire`].
const FILES_MAX: usize = board::wire::LINE_MAX / 8 * 5;
/// The cookie's name; browsers take one of this prefix only by TLS, for this very host.
const COOKIE: &str = "__Host-setup";
/// Nothing from elsewhere, no scripts, no frames.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

/// What the page works with.
pub(super) struct Setup {
    /// The box's name.
    pub(super) name: String,
    /// What is wrong with a configuration that was refused; may be empty.
    pub(super) mistakes: String,
    /// The supervisor's socket.
    pub(super) socket: PathBuf,
    guard: Mutex<Guard>,
    bodies: Semaphore,
}

impl Setup {
    pub(super) fn new(name: String, code: &str, mistakes: String, socket: PathBuf) -> Self {
        let guard = Mutex::new(Guard::new(code));
        Self { name, mistakes, socket, guard, bodies: Semaphore::new(BODIES) }
    }

    fn guard(&self) -> MutexGuard<'_, Guard> {
        self.guard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn session(&self, headers: &HeaderMap) -> Option<Session> {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let name = cookies
            .flat_map(|line| line.split(';'))
            .find_map(|cookie| cookie.trim().strip_prefix(COOKIE)?.strip_prefix('='))?;
        self.guard().session(name, Instant::now())
    }

    fn sorry(&self, status: StatusCode, title: &str, text: &str) -> Response {
        html(status, pages::plain(&self.name, title, text))
    }
}

type Shared = State<Arc<Setup>>;

pub(super) fn router(setup: Arc<Setup>) -> Router {
    Router::new()
        .route("/", get(start))
        .route("/style.css", get(style))
        .route("/claim", post(claim))
        .route("/configure", post(configure))
        .route("/upload", post(upload))
        .fallback(|State(setup): Shared| async move {
            setup.sorry(StatusCode::NOT_FOUND, "There is nothing here", "The setup page is one page only.")
        })
        .layer(middleware::map_response(guarded))
        .with_state(setup)
}

/// What holds for every answer.
async fn guarded(mut response: Response) -> Response {
    let headers: [(HeaderName, &'static str); 6] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn html(status: StatusCode, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

async fn style() -> Response {
    let mut response = Response::new(Body::from(pages::STYLE));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"));
    response
}

async fn start(State(setup): Shared, headers: HeaderMap) -> Response {
    let page = match setup.session(&headers) {
        Some(session) => pages::form(&setup.name, &session, &Typed::new(), &Told::default()),
        None => pages::claim(&setup.name, &setup.mistakes, None),
    };
    html(StatusCode::OK, page)
}

async fn claim(State(setup): Shared, request: Request) -> Response {
    let form = match Form::read(&setup, request).await {
        Ok(form) => form,
        Err(response) => return response,
    };
    let code = form.parts().into_iter().find(|part| part.name == "code").map(|part| text(part.bytes));
    let claimed = setup.guard().claim(&code.unwrap_or_default(), Instant::now());
    let refused = |status, text: &str| html(status, pages::claim(&setup.name, &setup.mistakes, Some(text)));
    match claimed {
        Ok(Claim::Right(session)) => {
            tracing::info!("somebody has claimed the box with its code");
            let mut response = to_the_start();
            let cookie = format!("{COOKIE}={session}; Path=/; Secure; HttpOnly; SameSite=Strict");
            if let Ok(cookie) = HeaderValue::try_from(cookie) {
                response.headers_mut().insert(header::SET_COOKIE, cookie);
            }
            response
        }
        Ok(Claim::Wrong) => {
            tracing::warn!("somebody has typed a wrong setup code");
            refused(StatusCode::FORBIDDEN, "That isn\u{2019}t the code.")
        }
        Ok(Claim::Wait(left)) => {
            let seconds = left.as_secs() + 1;
            let words = format!("Too many wrong codes. The next try is possible in {seconds} seconds.");
            let mut response = refused(StatusCode::TOO_MANY_REQUESTS, &words);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            response
        }
        Err(error) => setup.sorry(StatusCode::SERVICE_UNAVAILABLE, "Not now", &error.to_string()),
    }
}

async fn configure(State(setup): Shared, request: Request) -> Response {
    let (session, form) = match signed_in(&setup, request).await {
        Ok(both) => both,
        Err(response) => return response,
    };
    let mut typed = Typed::new();
    for part in form.parts() {
        if let Some(field) = fields::all().find(|field| field.name == part.name) {
            let kept =
                if part.file.is_some() { text(part.bytes) } else { text(part.bytes).trim().to_owned() };
            typed.insert(field.name, kept);
        }
    }
    typed.retain(|_, text| !text.is_empty());
    let beside = fields::missing(&typed);
    let again = |told: &Told| {
        html(StatusCode::UNPROCESSABLE_ENTITY, pages::form(&setup.name, &session, &typed, told))
    };
    if !beside.is_empty() {
        return again(&Told { beside, other: String::new() });
    }
    let files = fields::configuration(&typed, &session.made);
    match hand_over(&setup, &files).await {
        Ok(()) => html(StatusCode::OK, pages::done(&setup.name, Some((&typed, &files, &session.made)))),
        Err(words) => again(&told(&words)),
    }
}

async fn upload(State(setup): Shared, request: Request) -> Response {
    let (session, form) = match signed_in(&setup, request).await {
        Ok(both) => both,
        Err(response) => return response,
    };
    let named = form
        .parts()
        .into_iter()
        .filter_map(|part| Some((part.file.filter(|name| !name.is_empty())?, part.bytes)));
    let files: Files = named.map(|(name, bytes)| (as_meant(name), bytes.to_vec())).collect();
    match hand_over(&setup, &files).await {
        Ok(()) => html(StatusCode::OK, pages::done(&setup.name, None)),
        Err(other) => {
            let told = Told { beside: BTreeMap::new(), other };
            html(StatusCode::UNPROCESSABLE_ENTITY, pages::form(&setup.name, &session, &Typed::new(), &told))
        }
    }
}

/// A file's name as the configuration calls it: Windows knows no difference of capitals, and Notepad adds an ending.
fn as_meant(name: String) -> String {
    let plain = name.to_ascii_lowercase();
    if ["wagate.toml", "wagate.toml.txt"].contains(&plain.as_str()) { "wagate.toml".to_owned() } else { name }
}

/// Hands a configuration to the supervisor, who checks it.
async fn hand_over(setup: &Setup, files: &Files) -> Result<(), String> {
    let bytes: usize = files.iter().map(|(name, bytes)| name.len() + bytes.len() + 64).sum();
    if bytes > FILES_MAX {
        let most = FILES_MAX / 1024;
        return Err(format!(
            "All files together are larger than {most} KiB: more than a configuration needs.\n"
        ));
    }
    let one =
        |(name, bytes): (&String, &Vec<u8>)| NamedFile { name: name.clone(), base64: STANDARD.encode(bytes) };
    let files: Vec<NamedFile> = files.iter().map(one).collect();
    let socket = setup.socket.clone();
    let asked = tokio::task::spawn_blocking(move || board::Remote::new(socket).configure(files)).await;
    match asked {
        Ok(answer) => answer.map_err(|error| error.text),
        Err(_) => Err("The box has failed to ask itself: switch it off and on.\n".to_owned()),
    }
}

/// The session and the form that a page of it has sent.
async fn signed_in(setup: &Setup, request: Request) -> Result<(Session, Form), Response> {
    let Some(session) = setup.session(request.headers()) else { return Err(to_the_start()) };
    let form = Form::read(setup, request).await?;
    let sent = form.parts().iter().any(|part| part.name == "form" && session.sent(&text(part.bytes)));
    if sent {
        return Ok((session, form));
    }
    Err(setup.sorry(
        StatusCode::FORBIDDEN,
        "Not from here",
        "This form didn\u{2019}t come from this page. Open it again.",
    ))
}

fn to_the_start() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/"));
    response
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The body of a form, known to be whole.
struct Form {
    body: axum::body::Bytes,
    boundary: String,
}

impl Form {
    async fn read(setup: &Setup, request: Request) -> Result<Self, Response> {
        let _place = setup.bodies.try_acquire().map_err(|_| {
            setup.sorry(
                StatusCode::SERVICE_UNAVAILABLE,
                "Busy",
                "Others are sending something. Try again in a moment.",
            )
        })?;
        let (head, body) = request.into_parts();
        let kind =
            head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let boundary = multipart::boundary(kind).map(str::to_owned);
        let read = tokio::time::timeout(BODY_TIME, axum::body::to_bytes(body, BODY_MAX)).await;
        let body = match read {
            Ok(Ok(body)) => body,
            Ok(Err(_)) => {
                let text = "A form may have 1 MiB, and this one had more or broke off.";
                return Err(setup.sorry(StatusCode::PAYLOAD_TOO_LARGE, "Too much", text));
            }
            Err(_) => {
                return Err(setup.sorry(
                    StatusCode::REQUEST_TIMEOUT,
                    "Too slow",
                    "The form didn\u{2019}t come in time.",
                ));
            }
        };
        let form = boundary.map(|boundary| Self { body, boundary });
        form.filter(|form| multipart::parts(&form.body, &form.boundary).is_some()).ok_or_else(|| {
            setup.sorry(StatusCode::BAD_REQUEST, "Not understood", "This is no form of this page.")
        })
    }

    fn parts(&self) -> Vec<Part<'_>> {
        multipart::parts(&self.body, &self.boundary).unwrap_or_default()
    }
}
