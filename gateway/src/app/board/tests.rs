//! A running gateway on trial, over a board that notes what is asked of it.

use std::path::Path;

use board::about::SlotState;
use ingress::proxy::Relays;
use model::Sequence;
use tokio::time::Instant;

use super::super::App;
use super::super::fake_board::FakeBoard;
use super::*;
use crate::config::accepted;

/// Far beyond what a proof takes.
const LONG: Duration = Duration::from_secs(90);
const SECRET: &str = "the app secret";

async fn gateway(folder: &Path, board: &FakeBoard) -> App {
    gateway_at(folder, board, "127.0.0.1:0").await
}

async fn gateway_at(folder: &Path, board: &FakeBoard, listen: &str) -> App {
    gateway_with(folder, board, listen, "").await
}

/// `keys`: further lines for `[webhook]`.
async fn gateway_with(folder: &Path, board: &FakeBoard, listen: &str, keys: &str) -> App {
    let text = format!(
        "[store]\npath = \"store\"\n[webhook]\nlisten = \"{listen}\"\nverify_token = \"a verify token\"\n\
         app_secret = \"{SECRET}\"\n{keys}\n[webhook.tls]\nself_signed = true\n[api]\nlisten = \"127.0.0.1:0\"\n\
         token = \"0123456789abcdef0123456789abcdef\"\n"
    );
    std::fs::write(folder.join("wagate.toml"), text).unwrap();
    let start = accepted::start(&folder.join("wagate.toml"), &|_| None).unwrap();
    App::start(start, Some(Arc::new(board.clone()))).await.unwrap()
}

#[tokio::test]
async fn a_version_on_trial_proves_itself_by_a_webhook_that_nobody_else_sees() {
    let folder = tempfile::tempdir().unwrap();
    let board = FakeBoard::running(SlotState::Trial);
    board.state().commits_refused = 1;
    let app = gateway(folder.path(), &board).await;
    let begun = Instant::now();
    while board.state().asked != ["commit", "commit"] {
        assert!(begun.elapsed() < LONG, "asked: {:?}", board.state().asked);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(begun.elapsed() >= Duration::from_secs(20));
    let written = app.store.value(b"Yself-test").unwrap();
    assert_eq!(written.as_deref(), Some(env!("CARGO_PKG_VERSION").as_bytes()));
    assert_eq!(app.store.newest(), Sequence(0), "nothing in the journal");
    app.stop().await.unwrap();
    assert_eq!(board.state().asked.len(), 2, "committed once");
}

#[tokio::test]
async fn the_self_test_passes_where_the_network_has_not_given_the_address() {
    let folder = tempfile::tempdir().unwrap();
    let board = FakeBoard::running(SlotState::Trial);
    let app = gateway_at(folder.path(), &board, "127.0.0.2:0").await;
    let (bound, inside) = (app.webhook_address(), app.front.inside());
    assert_eq!(inside.map(|inside| inside.to_string()), Some(format!("127.0.0.1:{}", bound.port())));
    // As if bound to an address of a router that is off.
    let address = format!("192.0.2.77:{}", bound.port()).parse().unwrap();
    let tls = ingress::Tls::open(&ingress::Source::SelfSigned(folder.path().join("store/tls"))).unwrap();
    let door =
        Door { address, inside, path: "/webhook".to_owned(), relays: Relays::default(), tls: Some(tls) };
    let nonce = SelfTest::default();
    let body = nonce.body().unwrap().to_vec();
    let posted = tokio::task::spawn_blocking(move || door.post(&body, &AppSecret::new(SECRET.as_bytes())));
    assert_eq!(posted.await.unwrap(), Ok(()));
    app.stop().await.unwrap();

    let committed = FakeBoard::running(SlotState::Committed);
    let app = gateway_at(folder.path(), &committed, "127.0.0.2:0").await;
    assert_eq!(app.front.inside(), None, "a version that stays opens no second door");
    app.stop().await.unwrap();
}

#[tokio::test]
async fn the_self_test_passes_where_everybody_else_has_to_show_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let authority = rcgen::generate_simple_self_signed(vec!["authority".to_owned()]).unwrap();
    std::fs::write(folder.path().join("ca.pem"), authority.cert.pem()).unwrap();
    let board = FakeBoard::running(SlotState::Committed);
    let keys = "client_auth = { mode = \"required\", ca = \"ca.pem\" }";
    let app = gateway_with(folder.path(), &board, "127.0.0.1:0", keys).await;
    let post = |tls: ingress::Tls| {
        let (address, path, relays) = (app.webhook_address(), "/webhook".to_owned(), Relays::default());
        let door = Door { address, inside: None, path, relays, tls: Some(tls) };
        tokio::task::spawn_blocking(move || door.post(b"{}", &AppSecret::new(SECRET.as_bytes())))
    };
    assert_eq!(post(app.secrets.tls().unwrap()).await.unwrap(), Ok(()));
    let stranger = ingress::Tls::open(&ingress::Source::SelfSigned(folder.path().join("store/tls"))).unwrap();
    post(stranger).await.unwrap().expect_err("it doesn't know the name");
    app.stop().await.unwrap();
}

#[tokio::test]
async fn where_a_tunnel_ends_on_this_machine_the_self_test_says_that_it_is_no_relay() {
    let folder = tempfile::tempdir().unwrap();
    let board = FakeBoard::running(SlotState::Committed);
    let app = gateway_with(folder.path(), &board, "127.0.0.1:0", "relays = [\"127.0.0.1\"]").await;
    let tls = ingress::Tls::open(&ingress::Source::SelfSigned(folder.path().join("store/tls"))).unwrap();
    let post = |relays: Relays| {
        let (address, path) = (app.webhook_address(), "/webhook".to_owned());
        let door = Door { address, inside: None, path, relays, tls: Some(tls.clone()) };
        tokio::task::spawn_blocking(move || door.post(b"{}", &AppSecret::new(SECRET.as_bytes())))
    };
    assert_eq!(post(app.loaded.config.webhook.relays.clone()).await.unwrap(), Ok(()));
    post(Relays::default()).await.unwrap().expect_err("a header is asked for");
    app.stop().await.unwrap();
}

#[tokio::test]
async fn only_the_own_listener_and_the_own_secret_will_do() {
    let folder = tempfile::tempdir().unwrap();
    // Committed: the gateway does nothing of that kind by itself.
    let board = FakeBoard::running(SlotState::Committed);
    let app = gateway(folder.path(), &board).await;
    let address = app.webhook_address();
    let own = ingress::Tls::open(&ingress::Source::SelfSigned(folder.path().join("store/tls"))).unwrap();
    let other = ingress::Tls::open(&ingress::Source::SelfSigned(folder.path().join("other"))).unwrap();
    // What another process has made: a webhook like any other here.
    let nonce = SelfTest::default();
    let post = |tls: &ingress::Tls, secret: &'static str| {
        let (path, relays) = ("/webhook".to_owned(), Relays::default());
        let door = Door { address, inside: None, path, relays, tls: Some(tls.clone()) };
        let body = nonce.body().unwrap().to_vec();
        tokio::task::spawn_blocking(move || door.post(&body, &AppSecret::new(secret.as_bytes())))
    };
    let why = post(&other, SECRET).await.unwrap().unwrap_err();
    assert!(why.contains("another certificate"), "{why}");
    let why = post(&own, "a stranger's").await.unwrap().unwrap_err();
    assert!(why.contains("401"), "{why}");
    assert_eq!(app.store.newest(), Sequence(0));
    assert_eq!(post(&own, SECRET).await.unwrap(), Ok(()));
    assert_eq!(app.store.newest(), Sequence(1), "kept as what isn't understood");
    assert_eq!(app.store.value(b"Yself-test").unwrap(), None);
    app.stop().await.unwrap();
    assert!(board.state().asked.is_empty());
}

#[tokio::test]
async fn data_of_a_later_format_is_handed_back_and_one_that_cannot_be_kept_ends_the_trial() {
    let cases: [(OpenError, &[&str]); 3] = [
        (OpenError::TooNew { found: 9, known: 3 }, &["hand back"]),
        (OpenError::CannotKeep { found: 1, oldest: 3 }, &["roll back"]),
        (OpenError::InUse, &[]),
    ];
    for (error, expected) in cases {
        let board = FakeBoard::running(SlotState::Trial);
        Below::look(Some(Arc::new(board.clone()))).await.cannot_open(&error).await;
        assert_eq!(board.state().asked, expected, "{error}");
        // Without a board there is nobody to ask.
        Below::look(None).await.cannot_open(&error).await;
    }
}

#[test]
fn damage_that_the_version_before_knew_is_no_reason_against_this_one() {
    let damage =
        |holes, damaged, known| new_damage(&Counters { holes, damaged, known, ..Counters::default() });
    assert!(!damage(0, 0, 0) && !damage(0, 3, 3) && !damage(1, 0, 1) && !damage(2, 3, 5));
    assert!(damage(0, 3, 2) && damage(1, 0, 0) && damage(1, 3, 3) && damage(2, 0, 1));
}

#[tokio::test]
async fn a_slot_of_which_nobody_can_say_how_it_stands_raises_no_format() {
    let cases = [(Some(SlotState::Trial), true), (Some(SlotState::Committed), false), (None, true)];
    for (state, keeps) in cases {
        let board = FakeBoard::running(state.unwrap_or(SlotState::Trial));
        board.state().silent = state.is_none();
        let below = Below::look(Some(Arc::new(board))).await;
        assert_eq!(below.keep_format(), keeps, "{state:?}");
    }
    assert!(!Below::look(None).await.keep_format());
}
