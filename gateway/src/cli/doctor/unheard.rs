//! Why no answer came, in words, and what to do about it.

use std::error::Error;
use std::io;
use std::time::Duration;

use super::words::limit;

/// What egress says where a call's time was up, before there was a connection and after.
const NOT_CONNECTED: &str = "no connection in time";
const NOT_ANSWERED: &str = "no answer came in time";
/// What it says of answers that aren't Graph's, behind their status.
const STRANGE: [&str; 3] =
    ["isn't Graph's answer", "the answer points elsewhere", "is no status of an answer"];
/// What it puts before a cause.
const PREFIXES: [&str; 2] = ["no connection: ", "no whole answer came: "];

/// Why no answer came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unheard {
    /// There is a connection, and nothing came in so long.
    Silent(Duration),
    /// There was no connection in so long.
    Unconnected(Duration),
    /// Nobody listens there.
    Refused,
    /// There is no way there.
    NoWay,
    /// The name has no address.
    NoName,
    /// The connection ended in mid-answer.
    Broken,
    /// Its certificate is over, or not yet valid, by the box's clock.
    WrongTime,
    /// Its certificate is for another name.
    WrongName,
    /// Its certificate comes from nobody whom this box trusts.
    Untrusted,
    /// What answers speaks something else.
    NotHttp,
    /// What answers speaks HTTP and isn't WhatsApp.
    NotGraph,
    /// TLS fails otherwise.
    Tls(String),
    /// What is to be sent can't be: the configuration's fault, in words.
    Unsendable(String),
    /// Something else, in the library's words.
    Other(String),
}

/// Where the other side is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Behind the router.
    Internet,
    /// In the store's own network, or wherever its CRM is.
    Crm,
}

impl Unheard {
    /// Reads it out of an error of a request that had so much time. The address isn't in what comes out: it may
    /// hold a token.
    pub(super) fn of(error: reqwest::Error, within: Duration) -> Self {
        let error = error.without_url();
        let causes = causes(&error);
        if let Some(known) = causes.iter().rev().find_map(|cause| known(cause)) {
            return known;
        }
        if error.is_timeout() {
            return if error.is_connect() { Self::Unconnected(within) } else { Self::Silent(within) };
        }
        if error.is_body() || error.is_decode() {
            return Self::Broken;
        }
        Self::Other(causes.last().cloned().unwrap_or_default())
    }

    /// Reads it out of the words of egress about a call that had so much time.
    pub(super) fn read(reason: &str, within: Duration) -> Self {
        match reason {
            // To connect there is half the time.
            NOT_CONNECTED => return Self::Unconnected(within / 2),
            NOT_ANSWERED => return Self::Silent(within),
            _ => {}
        }
        if STRANGE.iter().any(|words| reason.ends_with(words)) {
            return Self::NotGraph;
        }
        match PREFIXES.iter().find_map(|prefix| reason.strip_prefix(prefix)) {
            Some(cause) => known(cause).unwrap_or_else(|| Self::Other(cause.to_owned())),
            None => Self::Unsendable(reason.to_owned()),
        }
    }

    /// What happened.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Silent(within) => format!("no answer within {}", limit(*within)),
            Self::Unconnected(within) => format!("no connection within {}", limit(*within)),
            Self::Refused => "connection refused".to_owned(),
            Self::NoWay => "there is no way there".to_owned(),
            Self::NoName => "its name can't be resolved".to_owned(),
            Self::Broken => "the connection breaks off".to_owned(),
            Self::NotHttp => "what answers there doesn't speak HTTP".to_owned(),
            Self::NotGraph => "what answers there isn't WhatsApp".to_owned(),
            Self::WrongTime => "its certificate isn't valid at the time that this box has".to_owned(),
            Self::WrongName => "its certificate is for another name".to_owned(),
            Self::Untrusted => "its certificate comes from nobody whom this box trusts".to_owned(),
            Self::Tls(why) => format!("TLS fails: {why}"),
            Self::Unsendable(why) | Self::Other(why) => why.clone(),
        }
    }

    /// What to do.
    pub(super) const fn next(&self, side: Side) -> &'static str {
        match (self, side) {
            (
                Self::Silent(_) | Self::Unconnected(_) | Self::NoWay | Self::Broken | Self::Other(_),
                Side::Internet,
            ) => "check cable, router and firewall: the box needs port 443 outwards",
            (
                Self::Silent(_) | Self::Unconnected(_) | Self::NoWay | Self::Broken | Self::Other(_),
                Side::Crm,
            ) => "see whether the CRM runs and isn't overloaded; then cable, switch and firewall",
            (Self::Refused, Side::Internet) => {
                "a machine answers, and nothing listens on that port: check the endpoint's url, and proxy or firewall"
            }
            (Self::Refused, Side::Crm) => {
                "the CRM's machine answers, and nothing listens on that port: start the CRM, or correct the endpoint's url"
            }
            (Self::NoName, _) => "correct the host in the endpoint's url, or mend the network's DNS",
            (Self::WrongTime, _) => {
                "see the line on the clock; where that is right, the other side has to renew its certificate"
            }
            (Self::WrongName, _) => {
                "correct the host in the endpoint's url; or something in between answers in its stead"
            }
            (Self::Untrusted, Side::Internet) => {
                "something in between (a proxy that looks into TLS, a hotel's login page) answers in its stead: let the \
                 box past it; if it is meant to, name its authority's certificate as the endpoint's `ca`"
            }
            (Self::Untrusted, Side::Crm) => {
                "name the certificate of the authority that it comes from as the endpoint's `ca`; or give the CRM one of a \
                 public authority"
            }
            (Self::NotHttp, _) => "correct scheme (http or https), host and port in the endpoint's url",
            (Self::NotGraph, _) => {
                "correct the endpoint's url; or something in between (a login page) answers in its stead"
            }
            (Self::Tls(_), _) => "see that the other side speaks TLS 1.2 or 1.3 on that port",
            (Self::Unsendable(_), _) => "correct the endpoint in the configuration",
        }
    }
}

/// What a cause means, in the words of the kernel, of TLS, or of a library.
fn known(cause: &str) -> Option<Unheard> {
    if let Some(number) = system_error(cause) {
        return of_io(&io::Error::from_raw_os_error(number));
    }
    if let Some(fault) = cause.strip_prefix("invalid peer certificate: ") {
        return Some(of_certificate(fault));
    }
    let says = |words: &[&str]| words.iter().any(|word| cause.contains(word));
    // The first is TLS', the last what hyper says of an end before the request was out.
    if says(&["handshake eof", "end of file", "closed", "unexpected message from connection"]) {
        Some(Unheard::Broken)
    } else if says(&["received ", "peer ", "handshake"]) {
        Some(Unheard::Tls(cause.to_owned()))
    } else if says(&["invalid HTTP"]) {
        Some(Unheard::NotHttp)
    } else if says(&["dns error", "can't be resolved"]) {
        Some(Unheard::NoName)
    } else {
        None
    }
}

/// The kernel's number in the words of the standard library, which end in `(os error 111)`.
fn system_error(cause: &str) -> Option<i32> {
    cause.strip_suffix(')')?.rsplit_once("(os error ")?.1.parse().ok()
}

fn of_io(error: &io::Error) -> Option<Unheard> {
    use io::ErrorKind as Kind;
    let kind = error.kind();
    if kind == Kind::ConnectionRefused {
        Some(Unheard::Refused)
    } else if [Kind::HostUnreachable, Kind::NetworkUnreachable, Kind::NetworkDown].contains(&kind) {
        Some(Unheard::NoWay)
    } else if [Kind::ConnectionReset, Kind::ConnectionAborted, Kind::BrokenPipe].contains(&kind) {
        Some(Unheard::Broken)
    } else {
        None
    }
}

/// What rustls finds fault with.
fn of_certificate(fault: &str) -> Unheard {
    let says = |words: &[&str]| words.iter().any(|word| fault.contains(word));
    if says(&["expired", "Expired", "not valid yet", "NotValidYet"]) {
        Unheard::WrongTime
    } else if says(&["not valid for name", "NotValidForName"]) {
        Unheard::WrongName
    } else {
        // A self-signed one counts among them, whatever the library calls it.
        Unheard::Untrusted
    }
}

fn causes(error: &reqwest::Error) -> Vec<String> {
    let mut list = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        list.push(error.to_string());
        cause = error.source();
    }
    list
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::sync::Mutex;
    use std::thread::JoinHandle;

    use egress::{Graph, GraphEndpoint, GraphSettings};
    use model::Outcome;
    use rustls::CertificateError;

    use super::super::certificate;
    use super::super::world::ask;
    use super::*;

    /// For what is to run out.
    const WITHIN: Duration = Duration::from_secs(1);
    /// For what isn't, on a busy machine either.
    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn kernel_and_tls_are_put_into_words() {
        for (number, why) in [
            (rustix::io::Errno::CONNREFUSED, Some(Unheard::Refused)),
            (rustix::io::Errno::HOSTUNREACH, Some(Unheard::NoWay)),
            (rustix::io::Errno::NETUNREACH, Some(Unheard::NoWay)),
            (rustix::io::Errno::CONNRESET, Some(Unheard::Broken)),
            (rustix::io::Errno::NOENT, None),
        ] {
            assert_eq!(known(&io::Error::from(number).to_string()), why, "{number:?}");
        }
        for (fault, why) in [
            (CertificateError::Expired, Unheard::WrongTime),
            (CertificateError::NotValidYet, Unheard::WrongTime),
            (CertificateError::NotValidForName, Unheard::WrongName),
            (CertificateError::UnknownIssuer, Unheard::Untrusted),
        ] {
            let words = rustls::Error::InvalidCertificate(fault.clone()).to_string();
            assert_eq!(known(&words), Some(why), "{fault:?}");
        }
        assert!(matches!(known(&rustls::Error::HandshakeNotComplete.to_string()), Some(Unheard::Tls(_))));
    }

    /// What listens on loopback for one connection and does `then` with it.
    fn listening(then: fn(TcpStream)) -> (SocketAddr, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            let stream = listener.accept().unwrap().0;
            // What is closed with something unread in it is reset.
            let _ = (&stream).read(&mut [0; 4096]).unwrap();
            then(stream);
        });
        (address, thread)
    }

    /// Why the CRM's way and WhatsApp's way have no answer from there.
    async fn asked(url: impl Fn() -> String, within: Duration) -> [Unheard; 2] {
        let http = egress::Clients::new(egress::ClientSettings::new("wagate/0".to_owned(), 1)).unwrap();
        let http = http.client().unwrap();
        let why = ask(http.get(format!("{}/?input_token=s3cret", url())), within).await.unwrap_err();
        let endpoint =
            GraphEndpoint::new("meta", &url(), None, Some("s3cret"), "/{phone_number_id}/messages");
        let graph =
            Graph::new(endpoint.unwrap().with_timeout(within), GraphSettings::new("wagate/0".to_owned(), 1));
        let outcome = graph.token_info().await.outcome.unwrap_err();
        let (Outcome::NotSent { reason } | Outcome::Unknown { reason }) = outcome else {
            panic!("an answer: {outcome:?}")
        };
        [why, Unheard::read(&reason, within)]
    }

    #[tokio::test]
    async fn real_failures_are_told_apart_and_hold_no_address() {
        let in_mid_answer: fn(TcpStream) = |stream| {
            let _ = (&stream).write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{");
        };
        let silent: fn(TcpStream) = |stream| {
            // Until the other side has had enough.
            let _ = (&stream).read_to_end(&mut Vec::new());
        };
        let rubbish: fn(TcpStream) = |stream| {
            let _ = (&stream).write_all(b"SSH-2.0-OpenSSH_9.6\r\n\r\n");
        };
        for (then, within, why) in [
            (drop::<TcpStream> as fn(TcpStream), PATIENCE, Unheard::Broken),
            (in_mid_answer, PATIENCE, Unheard::Broken),
            (silent, WITHIN, Unheard::Silent(WITHIN)),
            (rubbish, PATIENCE, Unheard::NotHttp),
        ] {
            let threads = Mutex::new(Vec::new());
            let url = || {
                let (address, thread) = listening(then);
                threads.lock().unwrap().push(thread);
                format!("http://{address}")
            };
            assert_eq!(asked(url, within).await, [why.clone(), why]);
            // The client's end of a connection is closed by a task of the runtime, which must not be kept.
            let join = || threads.into_inner().unwrap().into_iter().for_each(|thread| thread.join().unwrap());
            tokio::task::spawn_blocking(join).await.unwrap();
        }
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let refused = asked(|| format!("http://{free}"), PATIENCE).await;
        assert_eq!(refused, [Unheard::Refused, Unheard::Refused]);
        let stranger = || format!("https://{}", certificate::showing().1);
        assert_eq!(asked(stranger, PATIENCE).await, [Unheard::Untrusted, Unheard::Untrusted]);
        let no_tls: fn(TcpStream) = |stream| {
            let _ = (&stream).write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        };
        let [crm, whatsapp] = asked(|| format!("https://{}", listening(no_tls).0), PATIENCE).await;
        assert!(matches!((&crm, &whatsapp), (Unheard::Tls(_), Unheard::Tls(_))), "{crm:?} {whatsapp:?}");
        let nobody = || "http://nobody.invalid".to_owned();
        assert_eq!(asked(nobody, WITHIN).await.map(|why| why.words().contains("s3cret")), [false, false]);
    }

    #[test]
    fn the_words_of_egress_are_known() {
        let read = |reason: &str| Unheard::read(reason, WITHIN);
        assert_eq!(read("no connection in time"), Unheard::Unconnected(WITHIN / 2));
        assert_eq!(read("no connection: the name can't be resolved: it has no address"), Unheard::NoName);
        assert_eq!(read("a 200 that isn't Graph's answer"), Unheard::NotGraph);
        assert_eq!(read("200: isn't Graph's answer"), Unheard::NotGraph);
        assert_eq!(read("302: the answer points elsewhere"), Unheard::NotGraph);
        assert!(matches!(read("url and path of the endpoint make no URL"), Unheard::Unsendable(_)));
        assert!(matches!(read("no connection: something new"), Unheard::Other(_)));
    }
}
