//! What the gateway is told by the supervisor, and what of it is refused.

use std::path::PathBuf;
use std::sync::mpsc::sync_channel;

use super::*;

/// Finds what it is told to find.
struct Found(Outcome);

impl Configurations for Found {
    fn configuration(&mut self) -> Outcome {
        self.0.clone()
    }

    fn leave_note(&mut self, _: &str) {}

    fn configure(&mut self, _: &[NamedFile]) -> Result<PathBuf, BoardError> {
        Ok(PathBuf::new())
    }
}

fn desk(found: Outcome) -> Desk {
    // Nobody listens to what it tells.
    let (told, _) = sync_channel(1);
    Desk::new(Parts {
        place: Place::new(Some(std::path::Path::new("/nowhere"))),
        machine: Err(BoardError::new(Code::Unsupported, "no slots")),
        box_id: "wagate-7f3a".to_owned(),
        log: Log::new().unwrap(),
        watchdog_seconds: None,
        configurations: Box::new(Found(found)),
        told,
    })
}

#[test]
fn the_gateway_hears_of_a_configuration_that_was_refused_for_as_long_as_it_is() {
    let refused = |found: Outcome| {
        let desk = desk(found);
        assert_eq!(desk.about().unwrap().configuration_refused, None);
        desk.search();
        let told = desk.about().unwrap().configuration_refused;
        let _ = desk.configure(&[]);
        assert_eq!(desk.about().unwrap().configuration_refused, None, "another one was taken");
        told
    };
    let in_force = |mistakes: Option<&str>| Outcome::InForce {
        path: PathBuf::from("/data/config/current/wagate.toml"),
        mistakes: mistakes.map(str::to_owned),
    };
    assert_eq!(refused(in_force(Some("unknown key"))).as_deref(), Some("unknown key"));
    assert_eq!(refused(in_force(None)), None);
    // The setup page shows those.
    assert_eq!(refused(Outcome::None { mistakes: Some("unknown key".to_owned()) }), None);

    let long = refused(in_force(Some(&"ö".repeat(REFUSED_MAX)))).unwrap();
    assert!(long.len() <= REFUSED_MAX && long.len() > REFUSED_MAX - 8, "{}", long.len());
    assert!(long.ends_with("ö\n..."));
    let exact = "x".repeat(REFUSED_MAX);
    assert_eq!(refused(in_force(Some(&exact))), Some(exact));
}

#[test]
fn a_version_without_the_network_card_of_the_one_before_is_not_committed() {
    let root = tempfile::tempdir().unwrap();
    let place = Place::new(Some(root.path()));
    let card = root.path().join("sys/class/net/eth0");
    std::fs::create_dir_all(card.join("device")).unwrap();
    std::fs::write(card.join("type"), "1\n").unwrap();
    std::fs::write(card.join("ifindex"), "2\n").unwrap();
    wired::note(&place);
    let desk = Desk::new(Parts {
        place: place.clone(),
        machine: Err(BoardError::new(Code::Unsupported, "no slots")),
        box_id: "wagate-test".to_owned(),
        log: Log::new().unwrap(),
        watchdog_seconds: None,
        configurations: Box::new(Found(Outcome::None { mistakes: None })),
        told: sync_channel(1).0,
    });
    assert_eq!(desk.commit().unwrap_err().text, "no slots", "the card is no reason");
    std::fs::remove_dir_all(card).unwrap();
    assert!(desk.commit().unwrap_err().text.contains("no network card"));
}
