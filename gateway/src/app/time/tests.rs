//! The time keeper against time servers on loopback, honest and not.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;

use super::*;
use crate::app::fake_board::{BUILT_MS, FakeBoard};

const YEAR_MS: i64 = 365 * 24 * 3_600_000;

/// What a server does with a question.
#[derive(Debug, Clone, Copy)]
enum Does {
    /// Tells the machine's time and so much more.
    Tell {
        ahead_ms: i64,
    },
    Nothing,
    /// Refuses, with a word of RFC 5905, section 7.4.
    Kiss(&'static [u8; 4]),
    /// Answers a question that wasn't asked, as who can't see it would.
    Blind,
}

struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<usize>>,
    does: Arc<Mutex<Does>>,
}

/// Seconds since 1900 and their parts (RFC 5905, section 6).
fn timestamp(ms: i64) -> [u8; 8] {
    let (seconds, ms) = (ms.div_euclid(1_000) + 2_208_988_800, ms.rem_euclid(1_000));
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&u32::try_from(seconds).unwrap().to_be_bytes());
    bytes[4..].copy_from_slice(&u32::try_from((ms << 32) / 1_000).unwrap().to_be_bytes());
    bytes
}

impl Server {
    async fn start(does: Does) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let (asked, does) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(does)));
        let (count, doing) = (Arc::clone(&asked), Arc::clone(&does));
        tokio::spawn(async move {
            let mut question = [0; 48];
            while let Ok((_, from)) = socket.recv_from(&mut question).await {
                *count.lock().unwrap() += 1;
                let does = *doing.lock().unwrap();
                let mut answer = [0; 48];
                // Version 4, a server, of stratum 2; its reference is an address.
                (answer[0], answer[1]) = (0x24, 2);
                answer[12..16].copy_from_slice(&[192, 0, 2, 1]);
                answer[24..32].copy_from_slice(&question[40..48]);
                let mut ahead = 0;
                match does {
                    Does::Nothing => continue,
                    Does::Tell { ahead_ms } => ahead = ahead_ms,
                    Does::Kiss(word) => {
                        answer[1] = 0;
                        answer[12..16].copy_from_slice(word);
                    }
                    Does::Blind => answer[24] ^= 1,
                }
                let now = timestamp(clock::now().0 + ahead);
                answer[32..40].copy_from_slice(&now);
                answer[40..48].copy_from_slice(&now);
                socket.send_to(&answer, from).await.unwrap();
            }
        });
        Self { address, asked, does }
    }

    fn asked(&self) -> usize {
        *self.asked.lock().unwrap()
    }

    fn now_does(&self, does: Does) {
        *self.does.lock().unwrap() = does;
    }
}

struct World {
    board: FakeBoard,
    keeper: TimeKeeper,
    agreed: watch::Receiver<Option<Agreed>>,
    status: watch::Receiver<Status>,
    proved: Arc<Mutex<Option<i64>>>,
}

impl World {
    fn new(servers: &[&Server]) -> Self {
        let (board, told, proved) = (FakeBoard::new(), Told::default(), Arc::new(Mutex::new(None)));
        board.state().about.ntp_servers = servers.iter().map(|server| server.address.to_string()).collect();
        let (agreed, status) = (told.agreed.subscribe(), told.status.subscribe());
        let known = Arc::clone(&proved);
        let machine = Machine::new(Some(Arc::new(board.clone())));
        let keeper = TimeKeeper::new(
            machine,
            Vec::new(),
            told,
            move || *known.lock().unwrap(),
            &mut Registry::default(),
        );
        Self { board, keeper, agreed, status, proved }
    }

    fn trouble(&self) -> String {
        self.status.borrow().trouble.clone().unwrap_or_default()
    }

    /// How far ahead of its own time the clock was set last.
    fn set_ahead_ms(&self) -> Option<i64> {
        self.board.state().set.last().map(|set| set - clock::now().0)
    }
}

fn near(ahead_ms: Option<i64>, expected_ms: i64) -> bool {
    ahead_ms.is_some_and(|ahead| (ahead - expected_ms).abs() < 5_000)
}

#[tokio::test]
async fn the_clock_is_set_by_those_who_agree_and_the_outbox_hears_of_it() {
    let ahead = Does::Tell { ahead_ms: YEAR_MS };
    let servers = [
        Server::start(ahead).await,
        Server::start(Does::Tell { ahead_ms: -YEAR_MS }).await,
        Server::start(ahead).await,
    ];
    let mut world = World::new(&servers.each_ref());
    let wait = world.keeper.round().await;
    assert!(near(world.set_ahead_ms(), YEAR_MS), "{:?}", world.board.state().set);
    assert!((3_240..=3_960).contains(&wait.as_secs()), "hourly, spread: {wait:?}");
    assert!(world.agreed.has_changed().unwrap() && world.agreed.borrow_and_update().is_some());
    let status = world.status.borrow().clone();
    assert!(status.synchronized && status.trouble.is_none() && near(status.offset_ms, YEAR_MS));
    assert_eq!(status.servers.iter().map(|server| server.state).collect::<Vec<_>>(), ["answered"; 3]);

    // Where it is right nothing is set, and the outbox hears of it all the same.
    for server in &servers {
        server.now_does(Does::Tell { ahead_ms: 0 });
    }
    world.keeper.round().await;
    assert_eq!(world.board.state().set.len(), 1);
    assert!(world.agreed.has_changed().unwrap());
}

#[tokio::test]
async fn who_stands_against_what_is_proved_is_not_believed() {
    let server = Server::start(Does::Tell { ahead_ms: -3_600_000 }).await;
    let mut world = World::new(&[&server]);
    *world.proved.lock().unwrap() = Some(clock::now().0);
    assert_eq!(world.keeper.round().await, SEEK_EVERY);
    assert!(world.trouble().contains("they are wrong"), "{}", world.trouble());
    server.now_does(Does::Tell { ahead_ms: 401 * 24 * 3_600_000 });
    world.keeper.round().await;
    assert!(world.trouble().contains("400 days"), "{}", world.trouble());
    *world.proved.lock().unwrap() = None;
    server.now_does(Does::Tell { ahead_ms: BUILT_MS - clock::now().0 - 60_000 });
    world.keeper.round().await;
    assert!(world.trouble().contains("before this firmware"), "{}", world.trouble());
    assert!(world.board.state().set.is_empty());
    assert!(!world.agreed.has_changed().unwrap());
    assert!(!world.status.borrow().synchronized);
}

#[tokio::test]
async fn silence_lies_and_kisses_leave_the_clock_alone() {
    let [silent, blind, busy, closed] =
        [Does::Nothing, Does::Blind, Does::Kiss(b"RATE"), Does::Kiss(b"DENY")].map(Server::start);
    let servers = [silent.await, blind.await, busy.await, closed.await];
    let mut world = World::new(&servers.each_ref());
    assert_eq!(world.keeper.round().await, SEEK_EVERY);
    let states: Vec<&str> = world.status.borrow().servers.iter().map(|server| server.state).collect();
    assert_eq!(states, ["silent", "strange", "resting", "resting"]);
    // Who wants to be left alone is, also when DHCP says the same once more.
    world.keeper.round().await;
    assert_eq!(servers.each_ref().map(Server::asked), [2, 2, 1, 1]);
    assert!(world.board.state().set.is_empty() && !world.agreed.has_changed().unwrap());
    assert!(world.trouble().contains("UDP port 123"), "{}", world.trouble());

    // One that answers alone, and is far off, has to say so three times.
    servers[0].now_does(Does::Tell { ahead_ms: YEAR_MS });
    for rounds in 1..=3 {
        world.keeper.round().await;
        assert_eq!(world.board.state().set.len(), usize::from(rounds == 3), "{rounds}");
    }
}

#[tokio::test]
async fn where_nothing_can_be_sent_the_next_try_is_soon() {
    let mut world = World::new(&[]);
    world.keeper.configured = vec![TimeServer::read("nowhere.invalid").unwrap()];
    world.keeper.names = Names::of_the_system();
    let wait = world.keeper.round().await;
    assert_eq!(wait, UNSENT_EVERY);
    assert_eq!(world.status.borrow().servers[0].state, "unsent");
}

#[test]
fn configured_servers_go_before_those_of_dhcp_and_these_before_the_pool() {
    let names = |list: &[TimeServer]| list.iter().map(|server| server.host.clone()).collect::<Vec<_>>();
    let told = ["192.168.1.1", "not a name", "ntp.lan"].map(str::to_owned);
    let own = [TimeServer::read("ntp.store.lan").unwrap()];
    assert_eq!(names(&wanted(&own, &told)), ["ntp.store.lan"]);
    assert_eq!(names(&wanted(&[], &told)), ["192.168.1.1", "ntp.lan"]);
    assert_eq!(names(&wanted(&[], &["?".to_owned()])), FALLBACK);
    assert_eq!(wanted(&[], &Vec::new()).len(), FALLBACK.len());
    let many: Vec<String> = (0..20).map(|place| format!("n{place}.lan")).collect();
    assert_eq!(wanted(&[], &many).len(), TIME_SERVERS_MAX);
}
