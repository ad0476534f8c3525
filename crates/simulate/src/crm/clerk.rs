//! Writes to customers through the gateway's `POST /v1/messages`, as a CRM does it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::{Method, Request, Response};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{mpsc, watch};

use super::behaviour::Behaviour;
use super::desk::{Desk, Reply};
use super::server::{Shared, Wanted};
use crate::Event;
use crate::whatsapp::Target;
use crate::whatsapp::connection::Connection;

/// How long an answer of the gateway may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Before a call is made again: doubled each time, from the first to the second.
const AGAIN: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));

/// How customers are answered.
#[derive(Debug, Clone)]
pub struct Answering {
    /// The gateway's `POST /v1/messages`.
    pub messages: Target,
    /// The token of its API.
    pub token: String,
    /// From a customer's message to the reply.
    pub thinks: Duration,
    /// Every so many replies one is posted twice with the same `Idempotency-Key`, as by a CRM that
    /// has lost the answer; 0 for none.
    pub twice_every: usize,
}

/// Writes one reply after the other, so that their order is known.
pub(crate) struct Clerk {
    pub(crate) shared: Arc<Shared>,
    pub(crate) desk: Arc<Desk>,
    pub(crate) answering: Answering,
    pub(crate) waiting: mpsc::Receiver<Arc<Reply>>,
    pub(crate) connection: Option<Connection>,
}

/// The answer to a queued message.
#[derive(Deserialize)]
struct Accepted {
    id: String,
}

impl Clerk {
    pub(crate) async fn work(mut self) {
        while let Some(reply) = self.waiting.recv().await {
            tokio::time::sleep_until((reply.asked_at + self.answering.thinks).into()).await;
            self.write(&reply).await;
            let every = self.answering.twice_every;
            if every > 0 && reply.number % every == every - 1 {
                self.write(&reply).await;
            }
            self.desk.close(&reply);
        }
    }

    /// Posts it until the gateway has said yes or no to it.
    async fn write(&mut self, reply: &Arc<Reply>) {
        let mut pause = AGAIN.0;
        loop {
            plugged_in(&self.shared.behaviour).await;
            let start = Instant::now();
            self.shared.events.tell(|| Event::Replying { reply: Arc::clone(reply) });
            let answer = self.post(reply).await;
            let after = start.elapsed();
            let (status, why) = match answer {
                Ok(answer) => {
                    let status = answer.status().as_u16();
                    let accepted = serde_json::from_slice::<Accepted>(answer.body());
                    if let (202, Ok(Accepted { id })) = (status, accepted) {
                        self.desk.queued(reply, &id);
                        self.shared.events.tell(|| Event::Queued {
                            reply: Arc::clone(reply),
                            outbox_id: id.into(),
                            after,
                        });
                        return;
                    }
                    (Some(status), format!("got {status}"))
                }
                Err(why) => (None, why),
            };
            let given_up = status.filter(|status| (400..500).contains(status) && *status != 429);
            if let Some(status) = given_up {
                self.desk.refused(reply, status);
            }
            self.shared.events.tell(|| Event::Unqueued {
                reply: Arc::clone(reply),
                why,
                given_up: given_up.is_some(),
            });
            if given_up.is_some() {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(AGAIN.1);
        }
    }

    async fn post(&mut self, reply: &Reply) -> Result<Response<Bytes>, String> {
        let request = self.request(reply).map_err(|_| "the token makes no header".to_owned())?;
        let mut connection = match self.connection.take().filter(Connection::is_usable) {
            Some(connection) => connection,
            None => Connection::open(&self.answering.messages, ANSWER_TIMEOUT)
                .await
                .map_err(|failure| failure.to_string())?,
        };
        let answer =
            connection.exchange(request, ANSWER_TIMEOUT).await.map_err(|failure| failure.to_string())?;
        self.connection = Some(connection);
        Ok(answer)
    }

    fn request(&self, reply: &Reply) -> Result<Request<Full<Bytes>>, hyper::header::InvalidHeaderValue> {
        const KEY: HeaderName = HeaderName::from_static("idempotency-key");
        let message = json!({
            "to": reply.to, "type": "text", "text": { "body": reply.text }, "priority": "reply",
        });
        let mut request = Request::new(Full::new(Bytes::from(message.to_string())));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.answering.messages.path.clone();
        let headers = request.headers_mut();
        headers.insert(HOST, self.answering.messages.host_header.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let mut token = HeaderValue::try_from(format!("Bearer {}", self.answering.token))?;
        token.set_sensitive(true);
        headers.insert(AUTHORIZATION, token);
        headers.insert(KEY, HeaderValue::try_from(reply.key.as_str())?);
        Ok(request)
    }
}

/// A CRM that is unplugged writes to nobody.
async fn plugged_in(behaviour: &watch::Sender<Wanted>) {
    // The other end is borrowed, so this can't fail.
    let _ = behaviour.subscribe().wait_for(|wanted| wanted.behaviour != Behaviour::Down).await;
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn who_is_unplugged_waits_until_that_is_over() {
        let behaviour = watch::Sender::<Wanted>::default();
        let set = |wanted| behaviour.send_modify(|now| now.behaviour = wanted);
        let mut context = Context::from_waker(Waker::noop());
        assert!(pin!(plugged_in(&behaviour)).poll(&mut context).is_ready());
        set(Behaviour::Down);
        let mut waits = pin!(plugged_in(&behaviour));
        assert!(waits.as_mut().poll(&mut context).is_pending());
        set(Behaviour::Hang);
        assert!(waits.as_mut().poll(&mut context).is_ready());
    }
}
