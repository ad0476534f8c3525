//! Whoever calls from the internet: curl, which checks the box's certificate as Meta does.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread::JoinHandle;

use super::{Net, Shop};

/// Unsigned requests of a flood; the box takes 60 at once from one address.
const FLOOD: usize = 80;
/// So many it takes from an address that has sent none yet; who has used his budget up waits for it as many seconds.
const FEWER: usize = 50;

/// Somebody who looks a box up at an address.
pub(super) struct Far<'a> {
    pub(super) net: &'a Net,
    /// The namespace in which they are.
    pub(super) role: &'a str,
    /// The address that the box's name leads to, as in a URL.
    pub(super) to: &'a str,
    /// Words more for curl.
    pub(super) more: &'a [&'a str],
}

/// For curl, where nobody is to answer: soon it has waited long enough.
pub(super) const HASTY: &[&str] = &["--connect-timeout", "2", "--max-time", "2"];

/// The status of an answer, or why there was none, by curl's exit status.
pub(super) type Answer = Result<u16, i32>;
/// Another certificate than the box's.
pub(super) const NOT_THE_BOX: Answer = Err(60);
/// Nobody listens.
pub(super) const REFUSED: Answer = Err(7);
/// The time is over.
pub(super) const SILENT: Answer = Err(28);
/// It ends within the handshake of TLS.
pub(super) const NO_TLS: Answer = Err(35);

impl<'a> Far<'a> {
    /// Somebody in the internet.
    pub(super) fn new(net: &'a Net, to: &'a str) -> Self {
        Self { net, role: "far", to, more: &[] }
    }

    /// Posts a body to a box, from an address of the namespace.
    pub(super) fn post(&self, shop: &Shop, from: &str, body: &[u8], signature: &str) -> Answer {
        let body = shop.put("body", body);
        let arguments =
            ["--data-binary", &format!("@{body}"), "-H", &format!("X-Hub-Signature-256: {signature}")];
        let url = format!("https://{}/webhook", shop.name);
        self.curl(shop, from, &arguments, &url).map(|statuses| statuses[0])
    }

    /// Posts something that isn't signed rightly.
    pub(super) fn unsigned(&self, shop: &Shop, from: &str) -> Answer {
        self.post(shop, from, b"{}", &format!("sha256={}", "0".repeat(64)))
    }

    /// Posts as much of that as one address may, and more; the answers to all.
    pub(super) fn flood(&self, shop: &Shop, from: &str) -> Vec<u16> {
        self.unsigned_many(shop, from, FLOOD)
    }

    /// Posts fewer of that, one after another, than one address may; the answers to all.
    pub(super) fn no_flood(&self, shop: &Shop, from: &str) -> Vec<u16> {
        self.unsigned_many(shop, from, FEWER)
    }

    fn unsigned_many(&self, shop: &Shop, from: &str, count: usize) -> Vec<u16> {
        let url = format!("https://{}/webhook?[1-{count}]", shop.name);
        self.curl(shop, from, &["--data", "{}"], &url).expect("all get answers")
    }

    /// Asks for something without TLS; `path` may begin with a port.
    pub(super) fn plain(&self, from: &str, path: &str) -> Answer {
        let output = self
            .net
            .command(self.role, "curl")
            .args(["--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--noproxy", "*"])
            .args(["--max-time", "10", "--interface", from])
            .args(self.more)
            .arg(format!("http://{}{path}", self.to))
            .output()
            .unwrap();
        match output.status.code().expect("curl was killed") {
            0 => Ok(String::from_utf8(output.stdout).unwrap().parse().unwrap()),
            code => Err(code),
        }
    }

    fn curl(&self, shop: &Shop, from: &str, arguments: &[&str], url: &str) -> Result<Vec<u16>, i32> {
        let output = self
            .net
            .command(self.role, "curl")
            .args(["--silent", "--show-error", "--output", "/dev/null", "--write-out", "%{http_code}\\n"])
            .args(["--noproxy", "*", "--max-time", "20", "--connect-timeout", "10", "--interface", from])
            .args(["--cacert", &shop.authority(), "--resolve", &format!("{}:443:{}", shop.name, self.to)])
            .args(self.more)
            .args(arguments)
            .arg(url)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        match output.status.code().expect("curl was killed") {
            0 => Ok(said.lines().map(|line| line.parse().unwrap()).collect()),
            code => Err(code),
        }
    }

    /// What openssl sees when it asks for a name, offers this protocol and waits for the handshake.
    pub(super) fn handshake(&self, name: Option<&str>, protocol: &str) -> String {
        let to = format!("{}:443", self.to);
        let mut openssl = self.net.command(self.role, "timeout");
        openssl.args(["5", "openssl", "s_client", "-connect", &to, "-alpn", protocol]);
        match name {
            Some(name) => openssl.args(["-servername", name]),
            None => openssl.arg("-noservername"),
        };
        let output = openssl.output().unwrap();
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    }
}

/// Answers one request, with nothing; gives the address that it came from.
pub(super) fn answer_once(listener: &TcpListener) -> JoinHandle<String> {
    let listener = listener.try_clone().unwrap();
    std::thread::spawn(move || {
        let (mut stream, from) = listener.accept().unwrap();
        let mut head = [0; 1024];
        let read = stream.read(&mut head).unwrap();
        assert!(head[..read].starts_with(b"GET /.well-known/acme-challenge/x HTTP/1.1"));
        stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").unwrap();
        from.ip().to_string()
    })
}
