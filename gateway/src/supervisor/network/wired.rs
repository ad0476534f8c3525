//! Whether a version drives the network card that the one before it drove.
//!
//! The proof of a version on trial goes through loopback alone, so that an update goes well while the line is down. A
//! kernel without the card's driver would pass it, and nobody could reach the box again. A cable, a lease or a
//! router aren't asked for: only that there is a card at all where there was one.

use board::{BoardError, Code, FileStorage, paths};

use super::super::place::Place;
use super::cards;

/// Where it's kept how many cards there were.
const KEY: &str = "wired-cards";

/// Notes how many wired cards this version drives, for the one that is about to take its place.
pub(in super::super) fn note(place: &Place) {
    let kept = FileStorage::open(&place.at(paths::BOX));
    if let Err(error) = kept.and_then(|mut kept| kept.set(KEY, count(place).to_string().as_bytes())) {
        tracing::warn!("how many network cards there are can't be kept: {error}");
    }
}

/// Whether there is still a card.
///
/// # Errors
/// [`Code::Io`] when there is none, and the version before this one had some.
pub(in super::super) fn as_before(place: &Place) -> Result<(), BoardError> {
    let before = noted(place);
    if before == 0 || count(place) > 0 {
        return Ok(());
    }
    let text = format!(
        "this version finds no network card, and the one before it had {before}: it lacks the driver, or the card was \
         taken out"
    );
    Err(BoardError::new(Code::Io, text))
}

/// With a cable in them or without.
fn count(place: &Place) -> usize {
    cards::cards(&place.at("/sys/class/net")).len()
}

fn noted(place: &Place) -> usize {
    let kept = FileStorage::open(&place.at(paths::BOX)).and_then(|kept| kept.get(KEY));
    let text = kept.ok().flatten().and_then(|bytes| String::from_utf8(bytes).ok());
    text.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::cards::tests::plug;
    use super::*;

    #[test]
    fn a_version_without_the_card_of_the_one_before_is_refused_and_a_cable_never_counts() {
        let root = tempfile::tempdir().unwrap();
        let (place, sys) = (Place::new(Some(root.path())), root.path().join("sys/class/net"));
        assert_eq!(as_before(&place), Ok(()), "nobody has noted anything");
        note(&place);
        assert_eq!(as_before(&place), Ok(()), "there was none before either");
        plug(&sys, "eth0", 2, true);
        plug(&sys, "eth1", 3, false);
        note(&place);
        assert_eq!(as_before(&place), Ok(()));
        std::fs::remove_dir_all(sys.join("eth0")).unwrap();
        assert_eq!(as_before(&place), Ok(()), "one without a cable is a card");
        std::fs::remove_dir_all(sys.join("eth1")).unwrap();
        let refused = as_before(&place).unwrap_err();
        assert!(refused.code == Code::Io && refused.text.contains("the one before it had 2"), "{refused}");
    }
}
