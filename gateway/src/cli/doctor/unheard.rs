//! Why no answer came, in words, and what to do about it.

use std::error::Error;
use std::io;

use rustls::CertificateError;

use super::world::ANSWER_WITHIN;

/// Why no answer came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unheard {
    /// Nothing came in time.
    Silent,
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
    /// Reads it out of an error. The address isn't in what comes out: it may hold a token.
    pub(super) fn of(error: reqwest::Error) -> Self {
        let error = error.without_url();
        if let Some(known) = known(&error) {
            return known;
        }
        if error.is_timeout() {
            return Self::Silent;
        }
        let causes = causes(&error);
        let says = |words: &[&str]| causes.iter().any(|cause| words.iter().any(|word| cause.contains(word)));
        if says(&["invalid HTTP"]) {
            return Self::NotHttp;
        }
        if says(&["dns error", "can't be resolved"]) {
            return Self::NoName;
        }
        // The last is what hyper says of an end before the request was out.
        if error.is_body() || error.is_decode() || says(&["closed", "unexpected message"]) {
            return Self::Broken;
        }
        Self::Other(causes.last().cloned().unwrap_or_default())
    }

    /// What happened.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Silent => format!("no answer within {} s", ANSWER_WITHIN.as_secs()),
            Self::Refused => "connection refused".to_owned(),
            Self::NoWay => "there is no way there".to_owned(),
            Self::NoName => "its name can't be resolved".to_owned(),
            Self::Broken => "the connection breaks off".to_owned(),
            Self::NotHttp => "what answers there doesn't speak HTTP".to_owned(),
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
            (Self::Silent | Self::NoWay | Self::Broken | Self::Other(_), Side::Internet) => {
                "check cable, router and firewall: the box needs port 443 outwards"
            }
            (Self::Silent | Self::NoWay | Self::Broken | Self::Other(_), Side::Crm) => {
                "see whether the CRM runs and isn't overloaded; then cable, switch and firewall"
            }
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
                "something in between (a proxy that looks into TLS, a hotel's login page) answers in its stead: \
                 let the box past it"
            }
            (Self::Untrusted, Side::Crm) => {
                "give the CRM a certificate of a public authority, or have the system trust the one that it has"
            }
            (Self::NotHttp, _) => "correct scheme (http or https), host and port in the endpoint's url",
            (Self::Tls(_), _) => "see that the other side speaks TLS 1.2 or 1.3 on that port",
            (Self::Unsendable(_), _) => "correct the endpoint in the configuration",
        }
    }
}

/// What the kernel or TLS say.
fn known(error: &reqwest::Error) -> Option<Unheard> {
    let mut cause: Option<&dyn Error> = Some(error);
    while let Some(error) = cause {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(of_tls(tls));
        }
        if let Some(mut io) = error.downcast_ref::<io::Error>() {
            // What was wrapped into one, once or more often, isn't among its causes.
            while let Some(inner) = io.get_ref().and_then(|inner| inner.downcast_ref::<io::Error>()) {
                io = inner;
            }
            if let Some(tls) = io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                return Some(of_tls(tls));
            }
            if let Some(known) = of_io(io) {
                return Some(known);
            }
        }
        cause = error.source();
    }
    None
}

fn of_io(error: &io::Error) -> Option<Unheard> {
    use io::ErrorKind as Kind;
    let kind = error.kind();
    if kind == Kind::ConnectionRefused {
        Some(Unheard::Refused)
    } else if [Kind::HostUnreachable, Kind::NetworkUnreachable, Kind::NetworkDown].contains(&kind) {
        Some(Unheard::NoWay)
    } else if [Kind::ConnectionReset, Kind::ConnectionAborted, Kind::BrokenPipe, Kind::UnexpectedEof]
        .contains(&kind)
    {
        Some(Unheard::Broken)
    } else if kind == Kind::TimedOut {
        Some(Unheard::Silent)
    } else {
        None
    }
}

fn of_tls(error: &rustls::Error) -> Unheard {
    let rustls::Error::InvalidCertificate(fault) = error else {
        return Unheard::Tls(error.to_string());
    };
    if matches!(
        fault,
        CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. }
    ) {
        Unheard::WrongTime
    } else if matches!(
        fault,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
    ) {
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
    use super::*;

    #[test]
    fn kernel_and_tls_are_put_into_words() {
        use io::ErrorKind as Kind;
        for (kind, why) in [
            (Kind::ConnectionRefused, Some(Unheard::Refused)),
            (Kind::HostUnreachable, Some(Unheard::NoWay)),
            (Kind::NetworkUnreachable, Some(Unheard::NoWay)),
            (Kind::ConnectionReset, Some(Unheard::Broken)),
            (Kind::TimedOut, Some(Unheard::Silent)),
            (Kind::Other, None),
        ] {
            assert_eq!(of_io(&io::Error::from(kind)), why, "{kind:?}");
        }
        for (fault, why) in [
            (CertificateError::Expired, Unheard::WrongTime),
            (CertificateError::NotValidYet, Unheard::WrongTime),
            (CertificateError::NotValidForName, Unheard::WrongName),
            (CertificateError::UnknownIssuer, Unheard::Untrusted),
        ] {
            assert_eq!(of_tls(&rustls::Error::InvalidCertificate(fault.clone())), why, "{fault:?}");
        }
        assert!(matches!(of_tls(&rustls::Error::HandshakeNotComplete), Unheard::Tls(_)));
    }

    /// What listens on loopback for one connection and does `then` with it.
    async fn called(then: fn(std::net::TcpStream)) -> Unheard {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            use io::Read as _;
            let stream = listener.accept().unwrap().0;
            // What is closed with something unread in it is reset.
            let _ = (&stream).read(&mut [0; 4096]).unwrap();
            then(stream);
        });
        let mut settings = egress::ClientSettings::new("wagate/0".to_owned(), 1);
        settings.request_timeout = std::time::Duration::from_millis(200);
        let http = egress::Clients::new(settings).unwrap().client().unwrap();
        let url = format!("http://{address}/debug_token?input_token=s3cret");
        let why = super::super::world::ask(http.get(url)).await.unwrap_err();
        // The client's end of a connection is closed by a task of the runtime, which must not be kept.
        tokio::task::spawn_blocking(move || thread.join().unwrap()).await.unwrap();
        why
    }

    #[tokio::test]
    async fn real_failures_are_told_apart_and_hold_no_address() {
        assert_eq!(called(drop).await, Unheard::Broken);
        let in_mid_answer = |stream: std::net::TcpStream| {
            use io::Write as _;
            let _ = (&stream).write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{");
        };
        assert_eq!(called(in_mid_answer).await, Unheard::Broken);
        let silent = |stream: std::net::TcpStream| {
            use io::Read as _;
            // Until the other side has had enough.
            let _ = (&stream).read_to_end(&mut Vec::new());
        };
        assert_eq!(called(silent).await, Unheard::Silent);
        let rubbish = |stream: std::net::TcpStream| {
            use io::Write as _;
            let _ = (&stream).write_all(b"SSH-2.0-OpenSSH_9.6\r\n\r\n");
        };
        assert_eq!(called(rubbish).await, Unheard::NotHttp);

        let http = egress::Clients::new(egress::ClientSettings::new("wagate/0".to_owned(), 1)).unwrap();
        let http = http.client().unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let refused = super::super::world::ask(http.get(format!("http://{free}/?t=s3cret"))).await;
        assert_eq!(refused, Err(Unheard::Refused));
        let (_, address) = super::super::certificate::showing();
        let untrusted = super::super::world::ask(http.get(format!("https://{address}/"))).await;
        assert_eq!(untrusted, Err(Unheard::Untrusted));
    }
}
