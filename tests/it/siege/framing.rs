//! Requests that two readers could understand in two ways. None of them may become two.

use super::attacker::{Field, MARK, again_and_again, provoke};
use crate::harness::{API_TOKEN, VERIFY_TOKEN};

/// What the request that is smuggled would bring back, if it were read as one.
const SMUGGLED: &str = "smuggled-in-7c1f";

/// One way to be misunderstood: its name, its header lines, and what follows the head. `{n}` is the length of what
/// follows, `{i}` the request that is smuggled, `{l}` the length of that in hexadecimal.
type Case = (&'static str, &'static str, &'static str);

/// What is behind the end of a chunked body, for those who go by its length.
const CHUNKED_END: &str = "0\r\n\r\n{i}";
/// What is inside a chunk, for those who go by its chunks.
const IN_A_CHUNK: &str = "{l}\r\n{i}\r\n0\r\n\r\n";

/// After `POST target HTTP/1.1` and `Host`.
const CASES: &[Case] = &[
    ("CL.TE", "Content-Length: {n}\r\nTransfer-Encoding: chunked\r\n", CHUNKED_END),
    ("TE.CL", "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", IN_A_CHUNK),
    ("CL.TE, in capitals", "CONTENT-LENGTH: {n}\r\ntRANSFER-eNCODING: CHUNKED\r\n", CHUNKED_END),
    ("CL.0 and chunked", "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", CHUNKED_END),
    (
        "TE.TE, identity last",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\nContent-Length: {n}\r\n",
        CHUNKED_END,
    ),
    (
        "TE.TE, identity first",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\nContent-Length: {n}\r\n",
        CHUNKED_END,
    ),
    ("TE.TE, in one line", "Transfer-Encoding: chunked, identity\r\nContent-Length: {n}\r\n", CHUNKED_END),
    ("TE.TE, twice chunked", "Transfer-Encoding: chunked, chunked\r\nContent-Length: {n}\r\n", CHUNKED_END),
    ("TE, another word", "Transfer-Encoding: xchunked\r\nContent-Length: {n}\r\n", CHUNKED_END),
    ("TE, with a parameter", "Transfer-Encoding: chunked;q=1\r\nContent-Length: {n}\r\n", CHUNKED_END),
    ("TE, in quotes", "Transfer-Encoding: \"chunked\"\r\nContent-Length: {n}\r\n", CHUNKED_END),
    ("TE, behind a comma", "Transfer-Encoding: , chunked\r\nContent-Length: {n}\r\n", CHUNKED_END),
    ("TE, tab for a space", "Transfer-Encoding:\tchunked\r\nContent-Length: {n}\r\n", CHUNKED_END),
    ("TE, vertical tab", "Transfer-Encoding: \x0bchunked\r\nContent-Length: {n}\r\n", CHUNKED_END),
    ("TE, NUL", "Transfer-Encoding: chunked\0\r\nContent-Length: {n}\r\n", CHUNKED_END),
    ("TE, high byte", "Transfer-Encoding: chunked\u{a0}\r\nContent-Length: {n}\r\n", CHUNKED_END),
    ("TE, empty", "Transfer-Encoding:\r\nContent-Length: {n}\r\n", CHUNKED_END),
    ("space before the colon of TE", "Transfer-Encoding : chunked\r\nContent-Length: {n}\r\n", CHUNKED_END),
    ("space before the colon of CL", "Content-Length : {n}\r\n", "{i}"),
    ("tab before the colon", "Content-Length\t: {n}\r\n", "{i}"),
    ("NUL in a name", "Content-Length\0: {n}\r\n", "{i}"),
    ("NUL in a value", "X: a\0b\r\nContent-Length: {n}\r\n", "{i}"),
    ("NUL in CL", "Content-Length: {n}\0\r\n", "{i}"),
    ("fold before TE", "X: a\r\n Transfer-Encoding: chunked\r\nContent-Length: {n}\r\n", CHUNKED_END),
    ("fold in TE", "Transfer-Encoding:\r\n chunked\r\nContent-Length: {n}\r\n", CHUNKED_END),
    ("fold in CL", "Content-Length: 0\r\n {n}\r\n", "{i}"),
    ("fold as the first line", " Content-Length: 0\r\nContent-Length: {n}\r\n", "{i}"),
    ("a name of nothing", ": x\r\nContent-Length: {n}\r\n", "{i}"),
    ("a line without a colon", "Content-Length\r\nContent-Length: {n}\r\n", "{i}"),
    ("two CL", "Content-Length: 0\r\nContent-Length: {n}\r\n", "{i}"),
    ("two CL, larger first", "Content-Length: {n}\r\nContent-Length: 0\r\n", "{i}"),
    ("CL as a list", "Content-Length: 0, {n}\r\n", "{i}"),
    ("CL as a list of the same", "Content-Length: {n}, {n}\r\n", "{i}"),
    ("CL with a plus", "Content-Length: +{n}\r\n", "{i}"),
    ("CL below zero", "Content-Length: -1\r\n", "{i}"),
    ("CL in hexadecimal", "Content-Length: 0x10\r\n", "{i}"),
    ("CL with a fraction", "Content-Length: {n}.0\r\n", "{i}"),
    ("CL with an exponent", "Content-Length: 1e2\r\n", "{i}"),
    ("CL with an underscore", "Content-Length: 1_0\r\n", "{i}"),
    ("CL with a space", "Content-Length: 1 0\r\n", "{i}"),
    ("CL of nothing", "Content-Length:\r\n", "{i}"),
    ("CL past 64 bits", "Content-Length: 18446744073709551616\r\n", "{i}"),
    ("CL at 64 bits", "Content-Length: 18446744073709551615\r\n", "{i}"),
    ("CL past 63 bits", "Content-Length: 9223372036854775808\r\n", "{i}"),
    ("bare LF before TE", "X: a\nTransfer-Encoding: chunked\r\nContent-Length: {n}\r\n", CHUNKED_END),
    ("bare CR before TE", "X: a\rTransfer-Encoding: chunked\r\nContent-Length: {n}\r\n", "{i}"),
    ("bare CR in a name", "Content-\rLength: 0\r\nContent-Length: {n}\r\n", "{i}"),
    ("CR CR LF", "X: a\r\r\nContent-Length: {n}\r\n", "{i}"),
    ("chunk of 0x", "Transfer-Encoding: chunked\r\n", "0x0\r\n\r\n{i}"),
    ("chunk with a plus", "Transfer-Encoding: chunked\r\n", "+0\r\n\r\n{i}"),
    ("chunk below zero", "Transfer-Encoding: chunked\r\n", "-1\r\n{i}\r\n0\r\n\r\n"),
    ("chunk past 64 bits", "Transfer-Encoding: chunked\r\n", "10000000000000000\r\n\r\n{i}"),
    ("chunk at 64 bits", "Transfer-Encoding: chunked\r\n", "ffffffffffffffff\r\n{i}"),
    ("chunk behind a space", "Transfer-Encoding: chunked\r\n", " 0\r\n\r\n{i}"),
    ("chunk with an underscore", "Transfer-Encoding: chunked\r\n", "1_0\r\n{i}"),
    ("chunk without digits", "Transfer-Encoding: chunked\r\n", "\r\n\r\n{i}"),
    ("chunk that ends with LF", "Transfer-Encoding: chunked\r\n", "0\n\n{i}"),
    ("chunk that ends with CR", "Transfer-Encoding: chunked\r\n", "0\r\r{i}"),
    ("chunk longer than said", "Transfer-Encoding: chunked\r\n", "2\r\nabcd0\r\n\r\n{i}"),
    ("chunk that ends with two others", "Transfer-Encoding: chunked\r\n", "2\r\nabXX0\r\n\r\n{i}"),
    ("extension with LF", "Transfer-Encoding: chunked\r\n", "2;\nxx\r\n{l}\r\n0\r\n\r\n{i}"),
    ("extension with CR", "Transfer-Encoding: chunked\r\n", "2;a\rb\r\nxx\r\n0;\rx\r\n{i}"),
    (
        "extension in quotes with an end in it",
        "Transfer-Encoding: chunked\r\n",
        "2;a=\"\r\n\r\n0\r\n\r\n{i}\"\r\n",
    ),
    ("trailer with LF", "Transfer-Encoding: chunked\r\n", "0\r\nX: y\n\n{i}"),
    ("trailer with CL", "Transfer-Encoding: chunked\r\n", "0\r\nContent-Length: {n}\r\n{i}"),
    ("expects, and does not wait", "Expect: 100-continue\r\nContent-Length: {n}\r\n", "{i}"),
    ("expects something else", "Expect: \x00100-continue\r\nContent-Length: {n}\r\n", "{i}"),
    (
        "upgrade to HTTP/2 in clear",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: {n}\r\n",
        "{i}",
    ),
    ("upgrade to a socket", "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: {n}\r\n", "{i}"),
    ("told to forget CL", "Connection: close, Content-Length\r\nContent-Length: {n}\r\n", "{i}"),
    ("told another method", "X-HTTP-Method-Override: GET\r\nContent-Length: {n}\r\n", "{i}"),
    ("two hosts", "Host: other\r\nContent-Length: {n}\r\n", "{i}"),
];

/// First lines with a body of the length that they say, which is the request to smuggle.
const LINES: &[(&str, &str)] = &[
    ("0.CL by GET", "GET {t} HTTP/1.1"),
    ("0.CL by HEAD", "HEAD {t} HTTP/1.1"),
    ("0.CL by DELETE", "DELETE {t} HTTP/1.1"),
    ("0.CL by OPTIONS", "OPTIONS * HTTP/1.1"),
    ("0.CL by TRACE", "TRACE {t} HTTP/1.1"),
    ("another path", "POST /other HTTP/1.1"),
    ("absolute form", "POST http://other.example{t} HTTP/1.1"),
    ("absolute form, of another scheme", "POST file://other.example{t} HTTP/1.1"),
    ("authority form", "CONNECT 127.0.0.1:8080 HTTP/1.1"),
    ("a fragment", "POST {t}#/other HTTP/1.1"),
    ("two spaces", "POST  {t} HTTP/1.1"),
    ("a tab", "POST\t{t}\tHTTP/1.1"),
    ("a space too many", "POST {t} /other HTTP/1.1"),
    ("an empty method", " {t} HTTP/1.1"),
    ("a method of its own", "SIEGE {t} HTTP/1.1"),
    ("HTTP/1.0", "POST {t} HTTP/1.0"),
    ("HTTP/1.2", "POST {t} HTTP/1.2"),
    ("HTTP/3.0", "POST {t} HTTP/3.0"),
    ("http/1.1", "POST {t} http/1.1"),
    ("no version", "POST {t}"),
    ("a version with LF", "POST {t} HTTP/1.1\nX: y"),
    ("a target with LF", "POST {t}\nX HTTP/1.1"),
    ("a target with CR", "POST {t}\rX HTTP/1.1"),
    ("a target with NUL", "POST {t}\0 HTTP/1.1"),
    ("the beginning of HTTP/2", "PRI * HTTP/2.0"),
];

/// How many there are.
pub(crate) const COUNT: usize = CASES.len() + LINES.len();

/// Heads that end by bare LF. They are requests (RFC 9112, 2.2), whole ones and two of them: nobody reads them before
/// us, so nobody reads them otherwise. They show that this bench sees a second answer where there is one.
pub(crate) const TWO_BY_LF: &str = "GET /other HTTP/1.1\nHost: box\n\n{i}";

/// All of them, each on a connection of its own, over and over, to both listeners.
pub(crate) async fn corpus(field: Field) {
    again_and_again(u32::try_from(2 * COUNT).unwrap(), move |place| {
        let field = field.clone();
        async move {
            let is_api = place % 2 == 1;
            let target = if is_api { "/v1/messages" } else { "/webhook" };
            let (name, bytes) = request(place as usize / 2, target, &inner(is_api));
            let from = field.nth_address(place);
            let answers = if is_api {
                let Ok(mut stream) = field.tcp(from, field.api).await else { return };
                provoke(&mut stream, &bytes).await
            } else {
                let Ok(mut stream) = field.tls(from).await else { return };
                provoke(&mut stream, &bytes).await
            };
            field.tally.asked();
            judge(&field, name, is_api, &answers);
            // Once and again, not as fast as can be.
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
    })
    .await;
}

/// A request that the listener would obey, and whose answer tells so: to it, it is as good as any.
fn inner(is_api: bool) -> String {
    if is_api {
        format!("GET /v1/status?x={MARK} HTTP/1.1\r\nHost: box\r\nAuthorization: Bearer {API_TOKEN}\r\n\r\n")
    } else {
        let token = VERIFY_TOKEN.replace(' ', "%20");
        format!(
            "GET /webhook?hub.mode=subscribe&hub.verify_token={token}&hub.challenge={SMUGGLED} HTTP/1.1\r\nHost: box\r\n\r\n"
        )
    }
}

fn request(place: usize, target: &str, inner: &str) -> (&'static str, Vec<u8>) {
    let fill = |text: &str, length: usize| {
        text.replace("{i}", inner)
            .replace("{l}", &format!("{:x}", inner.len()))
            .replace("{n}", &length.to_string())
            .replace("{t}", target)
    };
    if let Some((name, headers, rest)) = CASES.get(place) {
        let rest = fill(rest, 0);
        let headers = fill(headers, rest.len());
        return (name, format!("POST {target} HTTP/1.1\r\nHost: box\r\n{headers}\r\n{rest}").into_bytes());
    }
    let (name, line) = LINES[place - CASES.len()];
    let line = fill(line, 0);
    (name, format!("{line}\r\nHost: box\r\nContent-Length: {}\r\n\r\n{inner}", inner.len()).into_bytes())
}

/// Two requests whose heads end by bare LF, to the public side.
pub(crate) fn two_by_lf() -> Vec<u8> {
    TWO_BY_LF.replace("{i}", &inner(false)).into_bytes()
}

/// How many answers there are in what came back, beside `100 Continue`, and whether the smuggled request is among them.
pub(crate) fn answers(text: &str) -> (usize, bool) {
    let all = text.matches("HTTP/1.1 ").count() - text.matches("HTTP/1.1 100 ").count();
    (all, text.contains(SMUGGLED) || text.contains("\"version\""))
}

fn judge(field: &Field, name: &str, is_api: bool, text: &str) {
    let (count, obeyed) = answers(text);
    let side = if is_api { "store side" } else { "public side" };
    if count > 1 || obeyed {
        field.tally.wrong(format!("{side}, {name}: {count} answers: {text:?}"));
    }
    let status = text.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
    // 0: closed without a word.
    field.tally.expect(
        &format!("{side}, {name}"),
        status,
        &[0, 400, 401, 403, 404, 405, 414, 429, 431, 501, 505],
    );
}
