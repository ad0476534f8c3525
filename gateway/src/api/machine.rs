//! `/v1/box`: the machine below the gateway.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use super::Side;
use super::members::Members;
use super::problem::Problem;
use super::query::Parameters;
use super::update::idle;
use crate::app::wear::Wear;
use crate::clock;

/// Lines of the log where nobody says how many.
const LINES: usize = 200;
/// Lines at most: the ring that they are kept in is of a few hundred KiB.
const LINES_MAX: usize = 2_000;

/// `GET /v1/box`: what the machine says of itself, of its clock and of its drive.
pub(super) async fn show(State(side): State<Side>) -> Result<Response, Problem> {
    let machine = side.updates.machine();
    let about = if machine.is_there() { Some(machine.about().await?) } else { None };
    let watch = side.shown.wear.clone();
    let wear = tokio::task::spawn_blocking(move || watch.now()).await?;
    let time = side.shown.time.borrow().clone();
    let (trusted, believed_ms) = {
        let sending = side.shown.sending.borrow();
        (sending.clock_trusted, sending.now_ms)
    };
    Ok(Json(json!({
        "machine": about,
        "wear": wear.as_ref().map(Wear::view),
        "clock": {
            "now": clock::now().rfc3339_millis(),
            "trusted": trusted,
            "believed": model::WallTime(believed_ms).rfc3339_millis(),
            "servers": machine.is_there().then_some(time),
        },
    }))
    .into_response())
}

/// `GET /v1/box/log`: the last lines that the box wrote about itself.
pub(super) async fn log(State(side): State<Side>, uri: Uri) -> Result<Response, Problem> {
    let parameters = Parameters::of(&uri, &["lines"])?;
    let what = format!("a number from 1 to {LINES_MAX}");
    let read = |text: &str| text.parse().ok().filter(|lines| (1..=LINES_MAX).contains(lines));
    let lines = parameters.get("lines", &what, read)?.unwrap_or(LINES);
    let lines = side.updates.machine().ask(move |board| board.log(lines)).await?;
    Ok(Json(json!({ "lines": lines })).into_response())
}

/// `POST /v1/box/reboot`: starts the machine anew, in order.
pub(super) async fn reboot(State(side): State<Side>) -> Result<Response, Problem> {
    idle(&side)?;
    side.updates.reboot("asked for by a person".to_owned());
    Ok((StatusCode::ACCEPTED, Json(json!({}))).into_response())
}

/// `POST /v1/box/factory-reset`: empties the data partition, if the body names this box.
pub(super) async fn factory_reset(State(side): State<Side>, body: Body) -> Result<Response, Problem> {
    idle(&side)?;
    let mut members = Members::of(body, &["box"]).await?;
    let named =
        members.required_text("box", "the id of this box, so that no other one is emptied by mistake");
    let about = side.updates.machine().about().await?;
    if named.as_ref().is_some_and(|named| *named != about.box_id) {
        members.fault("box", "is not the id of this box: nothing was done");
    }
    members.end()?;
    tracing::warn!("everything on this box is being emptied: asked for by a person");
    side.updates.machine().ask(|board| board.factory_reset()).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({}))).into_response())
}
