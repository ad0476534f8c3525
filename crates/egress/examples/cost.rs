//! What a delivery costs its thread: `cost sink PORT`, then `cost deliver PORT RECORDS [PER_SECOND]`.
//!
//! The sink is a process of its own, so that a profile of the other holds delivery alone:
//! `valgrind --tool=callgrind cost deliver PORT 5000`, twice with different numbers of records;
//! the difference is the price of the records between them.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measuring program")]

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use model::signature::standard_webhooks::SigningSecret;
use model::{Account, ContactId, Item, Kind, Record, Sequence, WallTime};
use tokio::sync::watch;
use wagate_egress::{
    ClientSettings, Clients, Delivery, Endpoint, Endpoints, Journal, JournalError, Metrics, Mode, Settings,
    Settlement, SigningSecrets, Tail,
};

/// As many customers as the field's measurements have.
const CONTACTS: u64 = 1_000;
/// The mean body of the field's measurements, rendered.
const BODY_BYTES: usize = 1_200;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |place: usize| arguments.get(place).and_then(|text| text.parse::<u64>().ok());
    match (arguments.first().map(String::as_str), number(1), number(2)) {
        (Some("sink"), Some(port), _) => sink(port),
        (Some("deliver"), Some(port), Some(records)) => deliver(port, records, number(3)),
        _ => println!("cost sink PORT | cost deliver PORT RECORDS [PER_SECOND]"),
    }
}

/// Answers 200 to everything, a thread per connection.
fn sink(port: u64) {
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        std::thread::spawn(move || {
            stream.set_nodelay(true).unwrap();
            let mut bytes = vec![0; 64 * 1024];
            let mut held = 0;
            while let Ok(read @ 1..) = stream.read(&mut bytes[held..]) {
                held += read;
                while let Some(length) = request(&bytes[..held]).filter(|length| *length <= held) {
                    bytes.copy_within(length..held, 0);
                    held -= length;
                    let answer =
                        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\ndate: Sat, 21 Nov 2026 12:00:00 GMT\r\n\r\n";
                    if stream.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            }
        });
    }
}

/// The length of the request at the beginning of `bytes`, once its head is there.
fn request(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..head]).unwrap().to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    Some(head + length.parse::<usize>().unwrap())
}

fn deliver(port: u64, records: u64, per_second: Option<u64>) {
    let journal = Arc::new(Memory::default());
    let body = vec![b'x'; BODY_BYTES];
    let secrets =
        SigningSecrets::new(vec![SigningSecret::parse("whsec_c2VjcmV0IG9mIHRoZSBzdG9yZQ==").unwrap()]);
    let settings = Settings::new(Mode::Realtime, 1);
    let client = ClientSettings::new("wagate/0.1.0".to_owned(), settings.lanes.in_flight);
    let delivery = Delivery::new(
        Arc::<Memory>::clone(&journal),
        Arc::new(move |_| body.clone()),
        &Endpoints::alone(Endpoint::new("primary", &format!("http://127.0.0.1:{port}/wagate")).unwrap()),
        secrets,
        &Clients::new(client).unwrap(),
        settings,
        &Metrics::default(),
    )
    .unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let delivering = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let before = on_cpu();
        // A task of its own, as `Delivery::run` asks.
        let running = runtime.spawn(delivery.run(async {
            let _gone = stopped.await;
        }));
        runtime.block_on(running).unwrap();
        on_cpu() - before
    });
    let start = Instant::now();
    match per_second {
        None => {
            journal.append(records);
        }
        Some(rate) => {
            for n in 0..records {
                let due = Duration::from_secs_f64(n as f64 / rate as f64);
                std::thread::sleep(due.saturating_sub(start.elapsed()));
                journal.append(1);
            }
        }
    }
    journal.wait_for(records);
    let took = start.elapsed();
    drop(stop);
    let cpu = delivering.join().unwrap();
    println!(
        "{records} records in {:.3} s, {:.0}/s, {:.2} us of the thread's CPU each, {} settlings",
        took.as_secs_f64(),
        records as f64 / took.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / records as f64,
        journal.state.lock().unwrap().settlings,
    );
}

/// Time that this thread was on a processor.
fn on_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

#[derive(Default)]
struct State {
    records: VecDeque<Arc<Record>>,
    newest: u64,
    settled: u64,
    settlings: u64,
}

/// A journal in memory that settles by counting.
#[derive(Default)]
struct Memory {
    state: Mutex<State>,
    tail: watch::Sender<Tail>,
}

impl Memory {
    fn append(&self, count: u64) {
        let mut state = self.state.lock().unwrap();
        for _ in 0..count {
            state.newest += 1;
            let record = Arc::new(record(state.newest));
            state.records.push_back(record);
        }
        let newest = Sequence(state.newest);
        drop(state);
        self.tail.send_modify(|tail| tail.newest = newest);
    }

    fn wait_for(&self, settled: u64) {
        while self.state.lock().unwrap().settled < settled {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn page(&self, after: Sequence, limit: usize) -> Vec<Arc<Record>> {
        let mut state = self.state.lock().unwrap();
        while state.records.front().is_some_and(|record| record.sequence <= after) {
            state.records.pop_front();
        }
        state.records.iter().take(limit).map(Arc::clone).collect()
    }
}

impl Journal for Memory {
    fn undelivered(&self, after: Sequence, limit: usize, _: usize) -> Result<Vec<Arc<Record>>, JournalError> {
        Ok(self.page(after, limit))
    }

    fn at_hand(&self, after: Sequence, limit: usize, _: usize) -> Option<Vec<Arc<Record>>> {
        Some(self.page(after, limit))
    }

    fn replays(&self, _: Sequence, _: usize, _: usize) -> Result<Vec<Arc<Record>>, JournalError> {
        Ok(Vec::new())
    }

    fn settle(&self, settlements: &[(Sequence, Settlement)]) {
        let mut state = self.state.lock().unwrap();
        state.settled += settlements.len() as u64;
        state.settlings += 1;
    }

    fn watch(&self) -> watch::Receiver<Tail> {
        self.tail.subscribe()
    }
}

fn record(sequence: u64) -> Record {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Record {
        sequence: Sequence(sequence),
        received_at: WallTime(i64::try_from(now.as_millis()).unwrap()),
        contact_id: Some(ContactId::from_stored(format!(
            "c-01JD5V7Q8W9X0Y1Z2A3B4{:05}",
            sequence * 7_919 % CONTACTS
        ))),
        replayed: false,
        item: Item {
            kind: Kind::MessageReceived,
            source: "/wagate/106540352242922".to_owned(),
            id: format!("wamid.HBgLODUyNjEyMzQ1NjcVAgASGBQzQTdGN{sequence:016X}A="),
            time: None,
            account: Account::default(),
            contact: None,
            group: None,
            via: None,
            field: "messages".to_owned(),
            reason: String::new(),
            raw: b"{}".to_vec(),
        },
    }
}
