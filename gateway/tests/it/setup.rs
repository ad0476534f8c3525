//! The setup page: the program itself on loopback, with a supervisor that checks what it's given.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use board::wire::{Answer, Question};
use board::{BoardError, Code};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use tempfile::TempDir;
use wagate::supervisor::first_boot::{FirstBoot, Media, Medium, claim};

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct NoMedia;

impl Media for NoMedia {
    fn each(&mut self, _: &mut dyn FnMut(&mut dyn Medium)) {}
}

/// A box without a configuration: the page, and the supervisor behind it.
struct NewBox {
    folder: TempDir,
    page: Child,
    https: u16,
    http: u16,
    code: String,
}

impl Drop for NewBox {
    fn drop(&mut self) {
        let _ = self.page.kill();
        let _ = self.page.wait();
    }
}

/// A port that nobody has at the moment.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl NewBox {
    fn new(mistakes: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["root/data", "root/run", "kept", "run"] {
            std::fs::create_dir_all(at(name)).unwrap();
        }
        let prepared = claim::prepare(&at("kept"), &at("run"), mistakes).unwrap();
        supervise(at("run/board.sock"), at("root"));
        let (https, http) = (free_port(), free_port());
        let page = Command::new(env!("CARGO_BIN_EXE_wagate"))
            .args(["machine", "setup", "--https", &https.to_string(), "--http", &http.to_string()])
            .args(["--run".into(), at("run"), "--tls".into(), at("kept").join(claim::TLS)] as [PathBuf; 4])
            .env_clear()
            .env(board::paths::SOCKET_ENV, at("run/board.sock"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", http)).is_err() {
            assert!(started.elapsed() < PATIENCE, "the page doesn't come up");
            std::thread::yield_now();
        }
        Self { folder, page, https, http, code: prepared.code }
    }

    fn in_force(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.folder.path().join("root/data/config/current").join(name)).ok()
    }

    /// Sends a request over TLS and gives back status, head and body.
    fn ask(&self, method: &str, path: &str, head: &str, body: &[u8]) -> Answered {
        let config = simulate::whatsapp::danger_accept_any_certificate().unwrap();
        let mut config = rustls::ClientConfig::clone(&config);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let name = ServerName::try_from("localhost").unwrap();
        let tls = ClientConnection::new(Arc::new(config), name).unwrap();
        let tcp = TcpStream::connect(("127.0.0.1", self.https)).unwrap();
        let mut stream = StreamOwned::new(tls, tcp);
        talk(&mut stream, method, path, head, body)
    }

    fn get(&self, path: &str, cookie: &str) -> Answered {
        self.ask("GET", path, &format!("Cookie: {cookie}\r\n"), b"")
    }

    /// Sends a form; a field whose name begins with `@` is a file, of the name behind it in the field's.
    fn post(&self, path: &str, cookie: &str, fields: &[(&str, &str)]) -> Answered {
        let mut body = String::new();
        for (name, text) in fields {
            let disposition = match name.split_once('@') {
                Some((name, file)) => format!("name=\"{name}\"; filename=\"{file}\""),
                None => format!("name=\"{name}\""),
            };
            body.push_str(&format!("--X\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{text}\r\n"));
        }
        body.push_str("--X--\r\n");
        let head = format!("Cookie: {cookie}\r\nContent-Type: multipart/form-data; boundary=X\r\n");
        self.ask("POST", path, &head, body.as_bytes())
    }

    /// Shows the code; the cookie and the form's own word.
    fn claimed(&self) -> (String, String) {
        let answer = self.post("/claim", "", &[("code", &claim::shown(&self.code).to_lowercase())]);
        assert_eq!(answer.status, 303, "{}", answer.body);
        let cookie = answer.header("set-cookie");
        for part in ["__Host-", "HttpOnly", "Secure", "SameSite=Strict", "Path=/"] {
            assert!(cookie.contains(part), "{part} isn't in {cookie}");
        }
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let page = self.get("/", &cookie).body;
        let form = page.split("name=\"form\" value=\"").nth(1).unwrap().split('"').next().unwrap();
        (cookie, form.to_owned())
    }
}

struct Answered {
    status: u16,
    head: String,
    body: String,
}

impl Answered {
    fn header(&self, name: &str) -> String {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.into_iter().find(|(there, _)| there.eq_ignore_ascii_case(name));
        found.unwrap_or_else(|| panic!("no {name} in {}", self.head)).1.to_owned()
    }
}

fn talk(
    stream: &mut (impl std::io::Read + std::io::Write),
    method: &str,
    path: &str,
    head: &str,
    body: &[u8],
) -> Answered {
    let length = body.len();
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{head}Content-Length: {length}\r\n\r\n").unwrap();
    // One that is too large is answered before its end.
    let _ = stream.write_all(body);
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answered { status, head: head.to_owned(), body: body.to_owned() }
}

/// Takes what it's given as the supervisor does, below `root`.
fn supervise(socket: PathBuf, root: PathBuf) {
    let listener = UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        let mut first_boot = FirstBoot::new(&root, NoMedia);
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut line = String::new();
            if BufReader::new(&stream).read_line(&mut line).unwrap() == 0 {
                continue;
            }
            let refused = |text: String| Answer::Refused(BoardError::new(Code::Unsupported, text));
            let answer = if let Question::Configure { files } = serde_json::from_str(&line).unwrap() {
                first_boot.take(&files).map_or_else(refused, |_| Answer::Done)
            } else {
                refused("not here".to_owned())
            };
            let _ = writeln!(stream, "{}", serde_json::to_string(&answer).unwrap());
        }
    });
}

const RIGHT: &[(&str, &str)] = &[
    ("app_secret", "app"),
    ("verify_token", "verify"),
    ("graph_token", ""),
    ("phone_number_id", "106540352242922"),
    ("phone", "+85291234567"),
    ("timezone", "Asia/Hong_Kong"),
    ("crm_url", "http://192.168.1.10/wagate"),
    ("certificate@", ""),
    ("key@", ""),
    ("address", ""),
];

fn with<'f>(form: &'f str, fields: &[(&'static str, &'f str)]) -> Vec<(&'f str, &'f str)> {
    let other = |name: &str| fields.iter().all(|(there, _)| *there != name);
    let rest = RIGHT.iter().filter(|(name, _)| other(name)).copied();
    [("form", form)].into_iter().chain(rest).chain(fields.iter().copied()).collect()
}

#[test]
fn from_the_code_to_the_configuration_in_force() {
    let the_box = NewBox::new(None);
    let start = the_box.get("/", "");
    assert_eq!(start.status, 200);
    assert!(start.body.contains("name=\"code\"") && !start.body.contains("name=\"app_secret\""));
    assert!(start.header("content-security-policy").starts_with("default-src 'none'; style-src 'self'"));
    assert_eq!(start.header("cache-control"), "no-store");
    assert_eq!(the_box.get("/style.css", "").status, 200);

    let (cookie, form) = the_box.claimed();
    let wrong = the_box.post(
        "/configure",
        &cookie,
        &with(&form, &[("phone", "91234567"), ("crm_url", "\"><script>")]),
    );
    assert_eq!(wrong.status, 422);
    assert!(
        wrong.body.contains("id=\"phone-error\"") && wrong.body.contains("id=\"crm_url-error\""),
        "{}",
        wrong.body
    );
    assert!(wrong.body.contains("value=\"106540352242922\""), "what was right stays");
    assert!(!wrong.body.contains("<script"), "and nothing is HTML that was typed");
    assert_eq!(the_box.in_force("wagate.toml"), None);

    let done = the_box.post("/configure", &cookie, &with(&form, &[]));
    assert_eq!(done.status, 200, "{}", done.body);
    for name in ["api_token", "crm_secret"] {
        let secret = the_box.in_force(name).unwrap();
        assert!(done.body.contains(secret.trim()), "{name} is shown this once");
    }
    assert_eq!(the_box.in_force("app_secret").as_deref(), Some("app\n"));
    assert!(the_box.in_force("wagate.toml").unwrap().contains("url = \"http://192.168.1.10/wagate\""));
}

#[test]
fn a_box_that_has_a_public_name_gets_its_certificate_itself() {
    let the_box = NewBox::new(None);
    let (cookie, form) = the_box.claimed();
    for (more, words) in [
        (&[("domains", "box.example.com"), ("certificate@cert.pem", "PEM")][..], "Either names"),
        (&[("contact", "it@example.com")], "there is none"),
        (&[("domains", "https://box.example.com/")], "domains-error"),
    ] {
        let wrong = the_box.post("/configure", &cookie, &with(&form, more));
        assert_eq!(wrong.status, 422);
        let page = &wrong.body;
        assert!(page.contains("id=\"domains-error\"") && page.contains(words), "{page}");
    }
    let names = [("domains", "box.example.com, shop.example.com"), ("contact", "it@example.com")];
    let done = the_box.post("/configure", &cookie, &with(&form, &names));
    assert_eq!(done.status, 200, "{}", done.body);
    assert!(done.body.contains("<code>https://box.example.com/webhook</code>"), "{}", done.body);
    let toml = the_box.in_force("wagate.toml").unwrap();
    let expected = "[webhook.tls.acme]\ndomains = [\"box.example.com\", \"shop.example.com\"]\n\
                    contact = \"mailto:it@example.com\"\n";
    assert!(toml.contains(expected), "{toml}");
}

#[test]
fn nobody_gets_in_without_the_code_and_guessing_is_slow() {
    let the_box = NewBox::new(Some("error: <b>webhook</b>\n"));
    assert!(
        the_box.get("/", "").body.contains("error: &lt;b&gt;webhook&lt;/b&gt;"),
        "the card's mistakes are shown"
    );
    for path in ["/configure", "/upload"] {
        let answer = the_box.post(path, "__Host-setup=0123", &[("form", "")]);
        assert_eq!((answer.status, answer.header("location").as_str()), (303, "/"), "{path}");
    }
    let (cookie, _) = the_box.claimed();
    let forged = the_box.post("/configure", &cookie, &with("other", &[]));
    assert_eq!(forged.status, 403, "a form of another page");
    for _ in 0..5 {
        assert_eq!(the_box.post("/claim", "", &[("code", "AAAA-AAAA")]).status, 403);
    }
    let early = the_box.post("/claim", "", &[("code", &the_box.code)]);
    assert_eq!(early.status, 429, "also the right one has to wait");
    assert!((1..=30).contains(&early.header("retry-after").parse::<u64>().unwrap()));
    assert_eq!(the_box.in_force("wagate.toml"), None);
}

#[test]
fn a_configuration_is_handed_over_with_its_files() {
    let the_box = NewBox::new(None);
    let (cookie, form) = the_box.claimed();
    let toml = "[webhook]\nverify_token = \"file:verify_token\"\napp_secret = \"file:app_secret\"\n\
                [webhook.tls]\nself_signed = true\n[api]\ntoken = \"file:api_token\"\n";
    let files = [("files@WAGATE.TOML", toml), ("files@C:\\verify_token", "v"), ("files@app_secret", "a")];
    let lacking = the_box.post("/upload", &cookie, &[&[("form", form.as_str())], &files[..]].concat());
    assert_eq!(lacking.status, 422);
    assert!(lacking.body.contains("can&#39;t read api_token: No such file"), "{}", lacking.body);
    let whole = [&[("form", form.as_str())], &files[..], &[("files@api_token", "t")]].concat();
    assert_eq!(the_box.post("/upload", &cookie, &whole).status, 200);
    assert_eq!(the_box.in_force("wagate.toml").as_deref(), Some(toml));

    let large = "x".repeat(300 * 1024);
    let refused = the_box.post("/upload", &cookie, &[("form", &form), ("files@wagate.toml", &large)]);
    assert_eq!(refused.status, 422);
    assert!(refused.body.contains("All files together are larger"), "{}", refused.body);
    let huge = "x".repeat(1024 * 1024 + 1);
    assert_eq!(
        the_box.post("/upload", &cookie, &[("form", &form), ("files@wagate.toml", &huge)]).status,
        413
    );
    assert_eq!(the_box.ask("POST", "/claim", "Content-Type: text/plain\r\n", b"code=1").status, 400);
    assert_eq!(the_box.get("/elsewhere", "").status, 404);
}

#[test]
fn plain_http_leads_to_https_and_does_nothing_else() {
    let the_box = NewBox::new(None);
    let mut stream = TcpStream::connect(("127.0.0.1", the_box.http)).unwrap();
    let answer = talk(&mut stream, "POST", "/claim?x", "", b"code");
    assert_eq!(answer.status, 307);
    assert_eq!(answer.header("location"), format!("https://localhost:{}/", the_box.https));
    assert_eq!(answer.body, "");
}
