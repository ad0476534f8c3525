//! Bundles on their way, over real connections that break.

use std::convert::Infallible;

use board::Code;
use futures_util::{StreamExt as _, stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::app::fake_board::{FakeBoard, bundle};

/// Nothing here takes longer, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct World {
    board: FakeBoard,
    updates: Updates,
    events: Events,
    stop: watch::Sender<bool>,
}

impl World {
    fn new() -> Self {
        let (board, events, stop) = (FakeBoard::new(), Events::default(), watch::Sender::new(false));
        let pace = Pace { wait_max: Duration::from_millis(5), reboot: Duration::ZERO, ..Pace::default() };
        let machine = Machine::new(Some(Arc::new(board.clone())));
        let updates = Updates::paced(machine, events.clone(), stop.subscribe(), pace);
        Self { board, updates, events, stop }
    }

    async fn upload(&self, portions: Vec<Result<Bytes, ()>>, reboot: bool) -> Result<Job, Refused> {
        self.updates.upload(None, &mut stream::iter(portions), reboot).await
    }

    /// Fetches to the end.
    async fn fetch(&self, url: &str) -> Job {
        self.updates.fetch(url.parse().unwrap(), true).unwrap();
        self.over().await
    }

    /// Waits until the update is over.
    async fn over(&self) -> Job {
        let mut job = self.updates.0.job.subscribe();
        let is_over = |job: &Option<Job>| job.as_ref().is_some_and(|job| job.stage.is_over());
        let over = tokio::time::timeout(PATIENCE, job.wait_for(is_over)).await.expect("it ends");
        over.unwrap().clone().unwrap()
    }

    /// What is in the other slot, and how often a bundle was begun.
    fn written(&self) -> (Vec<u8>, usize) {
        let state = self.board.state();
        (state.written.clone(), state.installs)
    }

    async fn rebooted(&self) {
        let rebooted = async {
            while self.board.state().reboots.is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, rebooted).await.expect("it is started anew");
    }
}

fn portions(bytes: &[u8]) -> Vec<Result<Bytes, ()>> {
    bytes.chunks(7).map(|portion| Ok(Bytes::copy_from_slice(portion))).collect()
}

fn content() -> Vec<u8> {
    (0..200_000_u32).map(|place| (place % 251) as u8).collect()
}

/// Answers one request after another with these bytes, each on a connection of its own that is closed behind them;
/// gives the address and the heads of the requests.
async fn server(answers: Vec<Vec<u8>>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/wagate.update", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heads = Arc::clone(&asked);
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            heads.lock().unwrap().push(String::from_utf8(head).unwrap().to_lowercase());
            // A client that has seen enough may be gone.
            let _ = stream.write_all(&answer).await;
            let _ = stream.shutdown().await;
        }
    });
    (url, asked)
}

/// An answer that breaks off behind `sent` bytes of its body.
fn answer(status: &str, headers: &[&str], body: &[u8], sent: usize) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
    for header in headers {
        head += &format!("{header}\r\n");
    }
    [head.as_bytes(), b"\r\n", &body[..sent.min(body.len())]].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_uploaded_is_in_its_slot_and_the_machine_is_started_anew() {
    let world = World::new();
    let mut listener = world.events.listen().unwrap();
    let job = world.upload(portions(&bundle("0.2.0", &content())), true).await.unwrap();
    assert_eq!(
        (job.stage, job.version.as_deref(), job.slot),
        (Stage::Activated, Some("0.2.0"), Some(board::about::SlotName::B))
    );
    assert_eq!(world.board.state().written, content());
    world.rebooted().await;
    let mut stages = Vec::new();
    while let Ok(event) = listener.receiver.try_recv() {
        assert_eq!(event.name, "update");
        let stage = event.data["stage"].as_str().unwrap().to_owned();
        if stages.last() != Some(&stage) {
            stages.push(stage);
        }
    }
    assert_eq!(stages, ["receiving", "verifying", "activated"]);

    let world = World::new();
    world.upload(portions(&bundle("0.2.0", b"x")), false).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(world.board.state().reboots.is_empty(), "a person starts it anew");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_board_refuses_is_told_and_the_next_one_is_taken() {
    let world = World::new();
    let refused = world.upload(portions(&bundle("forged-0.2.0", &content())), true).await.unwrap_err();
    let Refused::Board(error) = &refused else { panic!("{refused:?}") };
    assert_eq!(error.code, Code::UnknownKey);
    let job = world.updates.job().unwrap();
    assert_eq!((job.stage, job.code, job.id), (Stage::Failed, Some(Code::UnknownKey), 1));
    assert!(job.ended_at.is_some());

    // An upload that breaks off is none that is too short.
    let mut broken = portions(&bundle("0.2.0", &content()));
    broken.truncate(100);
    broken.push(Err(()));
    let refused = world.upload(broken, true).await.unwrap_err();
    assert!(matches!(&refused, Refused::Broken(text) if text.contains("broke off")), "{refused:?}");

    // More than its manifest says.
    let mut long = bundle("0.2.0", b"x");
    long.extend(vec![0; 64 << 10]);
    match world.upload(portions(&long), true).await {
        // The board had all that it wanted, and didn't wait for more.
        Ok(job) => assert_eq!(job.stage, Stage::Activated),
        Err(refused) => assert!(matches!(&refused, Refused::Board(error) if error.code == Code::Damaged)),
    }
    assert_eq!(world.upload(portions(&bundle("0.2.1", b"x")), false).await.unwrap().id, 4);
    let without = Updates::new(Machine::new(None), Events::default(), world.stop.subscribe());
    let refused = without.fetch("http://127.0.0.1:1/x".parse().unwrap(), true).unwrap_err();
    assert!(matches!(&refused, Refused::Board(error) if error.code == Code::Unsupported));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_at_a_time_and_it_can_be_ended() {
    let world = World::new();
    assert_eq!(world.updates.cancel().unwrap_err(), Refused::Nothing);
    let mut body = Box::pin(
        stream::once(async { Ok::<_, Infallible>(Bytes::from_static(b"0.2.0 9\n")) })
            .chain(stream::pending()),
    );
    let updates = world.updates.clone();
    let uploading = tokio::spawn(async move { updates.upload(None, &mut body, true).await });
    let mut job = world.updates.0.job.subscribe();
    let begun = job.wait_for(|job| job.as_ref().is_some_and(|job| job.version.is_some()));
    drop(tokio::time::timeout(PATIENCE, begun).await.unwrap().unwrap());
    assert_eq!(
        world.updates.fetch("http://127.0.0.1:1/x".parse().unwrap(), true).unwrap_err(),
        Refused::Busy
    );
    world.updates.cancel().unwrap();
    assert_eq!(uploading.await.unwrap().unwrap_err(), Refused::Cancelled);
    assert_eq!(world.updates.job().unwrap().stage, Stage::Cancelled);
    assert!(!world.updates.is_busy());

    // A stop of the gateway ends it, too.
    let mut body = stream::pending::<Result<Bytes, Infallible>>();
    let updates = world.updates.clone();
    let uploading = tokio::spawn(async move { updates.upload(None, &mut body, true).await });
    world.stop.send_replace(true);
    assert!(matches!(uploading.await.unwrap().unwrap_err(), Refused::Broken(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_goes_on_where_it_broke_off() {
    let (world, file) = (World::new(), bundle("0.2.0", &content()));
    let (etag, other) = ("etag: \"v1\"", "etag: \"v2\"");
    let rest = |from: usize| {
        let range = format!("content-range: bytes {from}-{}/{}", file.len() - 1, file.len());
        answer("206 Partial Content", &[&range, etag], &file[from..], 50_000)
    };
    let (url, asked) = server(vec![
        answer("503 Service Unavailable", &["retry-after: 1"], b"", 0),
        answer("200 OK", &[etag], &file, 50_000),
        Vec::new(),
        rest(50_000),
        // One that knows no ranges, and has the same file.
        answer("200 OK", &[etag], &file, 150_000),
        rest(150_000),
        rest(200_000),
    ])
    .await;
    let job = world.fetch(&url).await;
    assert_eq!((job.stage, job.tries), (Stage::Activated, 7), "{job:?}");
    assert_eq!(job.received, file.len() as u64);
    assert_eq!(world.written(), (content(), 1));
    let asked = asked.lock().unwrap().clone();
    assert!(!asked[0].contains("range") && !asked[1].contains("range"));
    for (request, from) in asked[2..].iter().zip([50_000, 50_000, 100_000, 150_000, 200_000]) {
        assert!(request.contains(&format!("range: bytes={from}-\r\n")), "{request}");
        assert!(request.contains("if-range: \"v1\"\r\n"), "{request}");
    }
    world.rebooted().await;

    // Another file in its place, and one that nobody can tell from another, are begun anew.
    let second = bundle("0.3.0", &content()[1..]);
    for again in [other, "x-nothing: 0"] {
        let world = World::new();
        let (url, _) = server(vec![
            answer("200 OK", &[if again == other { etag } else { again }], &file, 50_000),
            answer("200 OK", &[again], &second, second.len()),
            answer("200 OK", &[again], &second, second.len()),
        ])
        .await;
        let job = world.fetch(&url).await;
        assert_eq!((job.stage, job.version.as_deref()), (Stage::Activated, Some("0.3.0")), "{job:?}");
        assert_eq!(world.written(), (content()[1..].to_vec(), 2));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_will_never_come_is_not_waited_for() {
    let missing = |list: &[u8]| answer("404 Not Found", &[], list, list.len());
    let moved = || answer("302 Found", &["location: /next"], b"", 0);
    let huge = b"HTTP/1.1 200 OK\r\ncontent-length: 300000000\r\n\r\n".to_vec();
    for (answers, words, tries) in [
        (vec![missing(b"no")], "404", 1),
        ((0..=5).map(|_| moved()).collect(), "more than 5 times", 1),
        (vec![answer("302 Found", &["location: ftp://x/y"], b"", 0)], "neither http nor https", 1),
        (vec![huge], "larger than any bundle", 1),
        (vec![moved(), answer("200 OK", &[], b"forged 5\n12345", 99)], "no key of this box", 1),
    ] {
        let world = World::new();
        let (url, _) = server(answers).await;
        let job = world.fetch(&url).await;
        assert_eq!((job.stage, job.tries), (Stage::Failed, tries), "{job:?}");
        assert!(job.detail.as_ref().unwrap().contains(words), "{job:?}");
    }
    // A file that never comes whole is given up.
    let world = World::new();
    let file = bundle("0.2.0", &content());
    let (url, _) = server((0..30).map(|_| answer("200 OK", &[], &file, 10)).collect()).await;
    let job = world.fetch(&url).await;
    assert!(job.detail.as_ref().unwrap().contains("again and again"), "{job:?}");
    assert_eq!(world.board.state().installs, ANEW_MAX + 1);
}
