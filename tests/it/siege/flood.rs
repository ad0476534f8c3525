//! Much of what is refused: unsigned and wrongly signed webhooks, guesses, replays.

use tokio::io::AsyncWriteExt as _;

use super::attacker::{Field, MARK, again_and_again, answer, swallow};
use super::slow::forged;

/// Small webhooks without a right signature, one after the other over many connections.
pub(crate) async fn unsigned(field: Field) {
    again_and_again(64, move |place| {
        let field = field.clone();
        async move {
            let Ok(mut stream) = field.tls(field.nth_address(place)).await else { return };
            let signature = match place % 4 {
                0 => String::new(),
                1 => format!("{0}{0}", forged()),
                2 => format!("X-Hub-Signature-256: sha256={MARK}\r\n"),
                _ => forged(),
            };
            let body = format!("{{\"object\":\"whatsapp_business_account\",\"entry\":[\"{MARK}\"]}}");
            let request = format!(
                "POST /webhook HTTP/1.1\r\nHost: box\r\n{signature}Content-Length: {}\r\n\r\n{body}",
                body.len()
            );
            loop {
                field.tally.asked();
                if stream.write_all(request.as_bytes()).await.is_err() {
                    return;
                }
                let Ok((status, _)) = answer(&mut stream).await else { return };
                field.tally.expect("an unsigned webhook", status, &[401, 429]);
            }
        }
    })
    .await;
}

/// Bodies of 4 MiB with a wrong signature, from twenty addresses.
pub(crate) async fn large(field: Field) {
    let body = std::sync::Arc::new(MARK.repeat(4 * 1024 * 1024 / MARK.len()));
    again_and_again(40, move |place| {
        let (field, body) = (field.clone(), std::sync::Arc::clone(&body));
        async move {
            let Ok(stream) = field.tls(field.nth_address(place % 20)).await else { return };
            let (mut reader, mut writer) = tokio::io::split(stream);
            let head = format!(
                "POST /webhook HTTP/1.1\r\nHost: box\r\n{}Content-Length: {}\r\n\r\n",
                forged(),
                body.len()
            );
            field.tally.asked();
            let send = async {
                let _ = writer.write_all(head.as_bytes()).await;
                let _ = writer.write_all(body.as_bytes()).await;
            };
            let (_, answered) = tokio::join!(send, answer(&mut reader));
            if let Ok((status, _)) = answered {
                field.tally.expect("a large body of a stranger", status, &[401, 429, 503]);
            }
        }
    })
    .await;
}

/// The first address of those who have listened. They can show something that is signed, so that they count as proved, and
/// their neighbourhood as known: no other attack comes from there.
const LISTENERS: u32 = 39_000;

/// What somebody has overheard, sent again out of order.
pub(crate) async fn replays(field: Field) {
    again_and_again(8, move |place| {
        let field = field.clone();
        async move {
            let Ok(mut stream) = field.tls(field.nth_address(LISTENERS + place)).await else { return };
            for webhook in field.captured.iter().rev() {
                field.tally.asked();
                if stream.write_all(webhook).await.is_err() {
                    return;
                }
                let Ok((status, _)) = answer(&mut stream).await else { return };
                field.tally.expect("a replay", status, &[200]);
            }
        }
    })
    .await;
}

/// Both budgets of an address are used up by so many guesses: 60 at the public side, 10 at the store side.
const SLOWED_BY: u32 = 150;

/// Guesses at the API's token and at the verify token.
pub(crate) async fn guesses(field: Field) {
    again_and_again(32, move |place| {
        let field = field.clone();
        async move {
            if place % 2 == 0 {
                guess_token(&field, place).await;
            } else {
                guess_verify_token(&field, place).await;
            }
        }
    })
    .await;
}

async fn guess_token(field: &Field, place: u32) {
    let Ok(mut stream) = field.tcp(field.nth_address(place), field.api).await else { return };
    let mut slowed = false;
    for number in 0..1_000_u32 {
        let authorization = match number % 5 {
            0 => format!("Authorization: Bearer {number:032x}\r\n"),
            1 => format!("Authorization: Basic {MARK}\r\n"),
            2 => format!("Authorization: Bearer {}\r\n", crate::harness::API_TOKEN.to_uppercase()),
            3 => format!("Authorization: Bearer {}\r\n", &crate::harness::API_TOKEN[1..]),
            _ => String::new(),
        };
        let path = ["/v1/status", "/v1/records", "/metrics", "/v1/openapi.json"][number as usize % 4];
        let request = format!("GET {path} HTTP/1.1\r\nHost: box\r\n{authorization}\r\n");
        field.tally.asked();
        if stream.write_all(request.as_bytes()).await.is_err() {
            return;
        }
        let Ok((status, _)) = answer(&mut stream).await else { return };
        field.tally.expect("a guess at the API's token", status, &[401, 429]);
        slowed |= status == 429;
        if number == SLOWED_BY {
            field.tally.expect(
                "guesses at the API's token, slowed down",
                if slowed { 429 } else { status },
                &[429],
            );
        }
    }
}

async fn guess_verify_token(field: &Field, place: u32) {
    let Ok(mut stream) = field.tls(field.nth_address(place)).await else { return };
    let mut slowed = false;
    for number in 0..1_000_u32 {
        let request = format!(
            "GET /webhook?hub.mode=subscribe&hub.verify_token={MARK}{number}&hub.challenge=c HTTP/1.1\r\nHost: box\r\n\r\n"
        );
        field.tally.asked();
        if stream.write_all(request.as_bytes()).await.is_err() {
            return;
        }
        let Ok((status, _)) = answer(&mut stream).await else { return };
        field.tally.expect("a guess at the verify token", status, &[403, 429]);
        slowed |= status == 429;
        if number == SLOWED_BY {
            field.tally.expect(
                "guesses at the verify token, slowed down",
                if slowed { 429 } else { status },
                &[429],
            );
        }
    }
}

/// Requests for nothing, as fast as they are answered, none of whose answers is read for long.
pub(crate) async fn pipelined(field: Field) {
    again_and_again(48, move |place| {
        let field = field.clone();
        async move {
            let Ok(stream) = field.tls(field.nth_address(place)).await else { return };
            let (mut reader, mut writer) = tokio::io::split(stream);
            let many = format!("GET /{MARK} HTTP/1.1\r\nHost: box\r\n\r\n").repeat(200);
            let send = async {
                while writer.write_all(many.as_bytes()).await.is_ok() {
                    field.tally.requests.fetch_add(200, std::sync::atomic::Ordering::Relaxed);
                }
            };
            tokio::join!(send, swallow(&mut reader));
        }
    })
    .await;
}
