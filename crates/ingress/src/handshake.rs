//! Meta's question whether this is the right door: a GET with a token that both sides know.

use std::collections::HashSet;

use subtle::ConstantTimeEq;

/// The longest challenge that is given back, in bytes; Meta's are about ten digits.
pub const CHALLENGE_BYTES: usize = 1024;

/// What to answer to a handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handshake {
    /// 200 with these bytes, which are visible ASCII.
    Welcome(Vec<u8>),
    /// 403: the token is wrong or missing, or the mode is another.
    Forbidden,
    /// 400: the token is right, and there is no challenge that could be given back.
    BadChallenge,
    /// 400: a parameter stands there twice, so that two readers could see two questions.
    Repeated,
}

/// Judges the query of a handshake against the token agreed on.
///
/// Parameters come in any order and unknown ones are ignored. The token is compared in constant
/// time; an empty `verify_token` lets nobody in.
#[must_use]
pub fn handshake(query: Option<&str>, verify_token: &[u8]) -> Handshake {
    let (mut mode, mut token, mut challenge) = (None, None, None);
    let mut seen = HashSet::new();
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode(name);
        match name.as_slice() {
            b"hub.mode" => mode = Some(decode(value)),
            b"hub.verify_token" => token = Some(decode(value)),
            b"hub.challenge" => challenge = Some(decode(value)),
            _ => {}
        }
        if !seen.insert(name) {
            return Handshake::Repeated;
        }
    }

    let token_is_right = !verify_token.is_empty()
        && token.is_some_and(|token| bool::from(token.as_slice().ct_eq(verify_token)));
    if !token_is_right || mode.as_deref() != Some(b"subscribe".as_slice()) {
        return Handshake::Forbidden;
    }
    match challenge {
        Some(challenge) if can_be_echoed(&challenge) => Handshake::Welcome(challenge),
        _ => Handshake::BadChallenge,
    }
}

fn can_be_echoed(challenge: &[u8]) -> bool {
    (1..=CHALLENGE_BYTES).contains(&challenge.len()) && challenge.iter().all(u8::is_ascii_graphic)
}

/// Undoes form encoding: `+` is a space, `%XX` a byte; a `%` without two digits stays as it is, as
/// in the URL standard.
fn decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let (byte, after) = match (*first, tail) {
            (b'+', _) => (b' ', tail),
            (b'%', [high, low, after @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => ((high << 4) | low, after),
                _ => (b'%', tail),
            },
            (byte, _) => (byte, tail),
        };
        bytes.push(byte);
        rest = after;
    }
    bytes
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TOKEN: &[u8] = b"s3cret+token";
    const GOOD: &str = "hub.mode=subscribe&hub.verify_token=s3cret%2Btoken&hub.challenge=1158201444";

    #[test]
    fn each_question_has_its_answer() {
        let long =
            format!("hub.mode=subscribe&hub.verify_token=s3cret%2Btoken&hub.challenge={}", "x".repeat(1024));
        let too_long = format!("{long}x");
        let welcome = |text: &str| Handshake::Welcome(text.as_bytes().to_vec());
        for (query, answer) in [
            (GOOD, welcome("1158201444")),
            (
                "hub.challenge=a%2Fb%25&x=1&hub.verify_token=s3cret%2btoken&hub.mode=subscribe&",
                welcome("a/b%"),
            ),
            ("hub.mode=subscribe&hub.verify_token=s3cret%2Btoken&hub.challenge=50%&y", welcome("50%")),
            (&long, welcome(&"x".repeat(1024))),
            (&too_long, Handshake::BadChallenge),
            ("hub.mode=subscribe&hub.verify_token=s3cret%2Btoken", Handshake::BadChallenge),
            ("hub.mode=subscribe&hub.verify_token=s3cret%2Btoken&hub.challenge=", Handshake::BadChallenge),
            ("hub.mode=subscribe&hub.verify_token=s3cret%2Btoken&hub.challenge=a+b", Handshake::BadChallenge),
            (
                "hub.mode=subscribe&hub.verify_token=s3cret%2Btoken&hub.challenge=a%0D%0Ab",
                Handshake::BadChallenge,
            ),
            (
                "hub.mode=subscribe&hub.verify_token=s3cret%2Btoken&hub.challenge=%C3%A9",
                Handshake::BadChallenge,
            ),
            ("hub.mode=subscribe&hub.verify_token=s3cret+token&hub.challenge=1", Handshake::Forbidden),
            ("hub.mode=subscribe&hub.verify_token=s3cret%2Btoke&hub.challenge=1", Handshake::Forbidden),
            ("hub.mode=subscribe&hub.verify_token=&hub.challenge=1", Handshake::Forbidden),
            ("hub.mode=subscribe&hub.challenge=1", Handshake::Forbidden),
            ("hub.mode=unsubscribe&hub.verify_token=s3cret%2Btoken&hub.challenge=1", Handshake::Forbidden),
            ("hub.verify_token=s3cret%2Btoken&hub.challenge=1", Handshake::Forbidden),
            ("hub_mode=subscribe&hub_verify_token=s3cret%2Btoken&hub_challenge=1", Handshake::Forbidden),
            ("", Handshake::Forbidden),
            (&format!("{GOOD}&hub.challenge=2"), Handshake::Repeated),
            (&format!("{GOOD}&hub%2echallenge=2"), Handshake::Repeated),
            (&format!("hub.verify_token=x&{GOOD}"), Handshake::Repeated),
            (&format!("hub.mode&{GOOD}"), Handshake::Repeated),
        ] {
            assert_eq!(handshake(Some(query), TOKEN), answer, "{query}");
        }
        assert_eq!(handshake(None, TOKEN), Handshake::Forbidden);
    }

    #[test]
    fn no_token_agreed_on_lets_nobody_in() {
        let query = "hub.mode=subscribe&hub.verify_token=&hub.challenge=1";
        assert_eq!(handshake(Some(query), b""), Handshake::Forbidden);
    }

    fn encoded(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("%{byte:02X}")).collect()
    }

    proptest! {
        #[test]
        fn a_right_question_in_any_order_gets_its_challenge_back(
            token in proptest::collection::vec(any::<u8>(), 1..40),
            challenge in "[!-~]{1,1024}",
            order in Just([0, 1, 2, 3]).prop_shuffle(),
        ) {
            let parts = [
                "hub.mode=subscribe".to_owned(),
                format!("hub.verify_token={}", encoded(&token)),
                format!("hub.challenge={}", encoded(challenge.as_bytes())),
                "other=1".to_owned(),
            ];
            let query = order.map(|place| parts[place].as_str()).join("&");
            prop_assert_eq!(handshake(Some(&query), &token), Handshake::Welcome(challenge.into_bytes()));
        }

        #[test]
        fn a_query_made_without_the_token_is_never_welcome(
            query in "((hub\\.(mode|verify_token|challenge)|[a-z%.]{0,9})=?(subscribe|[%+0-9a-zA-Z]{0,12})&?){0,6}",
        ) {
            let answer = handshake(Some(&query), b"\xff token that the pattern cannot make");
            prop_assert!(!matches!(answer, Handshake::Welcome(_) | Handshake::BadChallenge));
        }

        #[test]
        fn whatever_is_given_back_is_visible_ascii(challenge in "\\PC{0,40}|[%0-9A-Fa-f+]{0,40}") {
            let query = format!("hub.mode=subscribe&hub.verify_token=t&hub.challenge={challenge}");
            if let Handshake::Welcome(echo) = handshake(Some(&query), b"t") {
                prop_assert!(can_be_echoed(&echo));
            }
        }
    }
}
