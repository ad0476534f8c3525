//! How worn the drive under the store is, where it says so.

use super::finding::{Check, Finding};
use super::world::World;
use crate::app::wear::{self, Level, SPARES_LOW, SPARES_SPENT, Wear};

/// The estimate of a drive that is past its life (JEDEC JESD84-B51, 7.4.16).
const EXCEEDED: u8 = 11;

pub(super) async fn check(world: &World) -> Finding {
    let (root, path) = (world.root.clone(), world.config.store.path.clone());
    let looked = tokio::task::spawn_blocking(move || wear::look(&root, &path)).await;
    judge(looked.ok().flatten().as_ref())
}

/// What a drive tells of its wear; `None` where the drive can't be found.
pub(super) fn judge(wear: Option<&Wear>) -> Finding {
    let Some(wear) = wear else {
        return Finding::skip(
            Check::Flash,
            "which drive the store is on can't be told (a container, a network drive, memory)",
        );
    };
    let device = &wear.device;
    let (tenths, spare) = (wear.tenths(), wear.spares());
    if wear.level() == Level::Unknown {
        let why = match wear.kind.as_deref() {
            Some("SD") => "SD cards don't; one for surveillance cameras lasts longest",
            Some(_) => "it's too old for that",
            None if device.starts_with("nvme") => "`smartctl -A` may know more",
            None => "only eMMC does; `smartctl -A` may know more",
        };
        return Finding::skip(Check::Flash, format!("{device} doesn't tell how worn it is: {why}"));
    }
    let life = match tenths {
        0 => "its spare blocks are counted, its life isn't".to_owned(),
        1..EXCEEDED => format!("{} to {} % of its life is used", (tenths - 1) * 10, tenths * 10),
        _ => "it is past the life that its maker gives it".to_owned(),
    };
    let spares = match spare {
        SPARES_LOW => ", and four fifths of its spare blocks",
        SPARES_SPENT => ", and nine tenths of its spare blocks",
        _ => "",
    };
    let words = format!("{device}: {life}{spares}");
    const REPLACE: &str = "move the store to a new drive: docs/operating/recover.md";
    let finding = match wear.level() {
        Level::Spent => Finding::fail(Check::Flash, words)
            .detail("It may refuse writes any day, and webhooks with them.")
            .next(REPLACE),
        Level::Worn => Finding::warn(Check::Flash, words).next(REPLACE),
        Level::Fine | Level::Unknown => Finding::ok(Check::Flash, words),
    };
    let finding = finding.fact("device", device.as_str());
    match wear.percent() {
        Some(percent) => finding.fact("life_used_percent", percent),
        None => finding,
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    fn wear(life: Option<(u8, u8)>, end_of_life: Option<u8>) -> Wear {
        Wear { device: "mmcblk0".to_owned(), kind: Some("MMC".to_owned()), life, end_of_life }
    }

    #[test]
    fn eight_tenths_are_worth_a_word_and_ten_are_the_end() {
        for (life, end_of_life, state) in [
            (Some((1, 1)), Some(1), State::Ok),
            (Some((7, 3)), Some(1), State::Ok),
            (Some((3, 8)), Some(1), State::Warn),
            (Some((9, 0)), None, State::Warn),
            (Some((1, 1)), Some(2), State::Warn),
            (Some((10, 1)), Some(1), State::Fail),
            (Some((1, 11)), Some(1), State::Fail),
            (Some((1, 1)), Some(3), State::Fail),
            (None, Some(3), State::Fail),
            (None, Some(1), State::Ok),
            (Some((0, 0)), Some(0), State::Skip),
            (None, None, State::Skip),
        ] {
            let finding = judge(Some(&wear(life, end_of_life)));
            assert_eq!(finding.state, state, "{life:?} {end_of_life:?}: {}", finding.summary);
        }
        assert_eq!(judge(None).state, State::Skip);
    }
}
