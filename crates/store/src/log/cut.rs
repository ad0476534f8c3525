//! The cut of a log that no index tells it of.

use std::sync::Arc;

use super::Geometry;
use super::look::Beginning;
use crate::disk::Segment;
use crate::format::group::Salt;

/// How many of `segments`, which have `bytes` each, are the ring; `None` where nothing was written.
///
/// Usually all of them. Behind them there may be some of an earlier cut, which had more.
pub(crate) fn of(segments: &[Arc<dyn Segment>], bytes: u64, salt: &Salt) -> Option<Geometry> {
    let begins = |segment: &Arc<dyn Segment>| Beginning::anywhere(&**segment, bytes, salt).generation();
    let generations: Vec<_> = segments.iter().map(begins).collect();
    segments_of(&generations).map(|segments| Geometry { segments, segment_bytes: bytes })
}

/// So many segments make the newest generation lie where it does, and the most of a round before it.
fn segments_of(generations: &[Option<u64>]) -> Option<u32> {
    let there = || (0_u64..).zip(generations).filter_map(|(slot, known)| known.map(|known| (slot, known)));
    let (place, newest) = there().max_by_key(|(_, generation)| *generation)?;
    let all = generations.len() as u64;
    let fits = |segments: u64| {
        let of_the_round = |(slot, generation): &(u64, u64)| {
            *slot < segments && generation % segments == *slot && generation + segments > newest
        };
        there().filter(of_the_round).count()
    };
    let segments =
        (2..=all).filter(|segments| newest % segments == place).max_by_key(|segments| fits(*segments));
    u32::try_from(segments.unwrap_or(all)).ok()
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "test sizes are small")]
mod tests {
    use super::segments_of;

    #[test]
    fn the_newest_generation_tells_how_many_there_are() {
        // The number of segments, and what stands behind them of one that had five.
        for (segments, behind) in [(5, &[][..]), (4, &[34]), (3, &[33, 34]), (2, &[32, 33, 34])] {
            // An earlier ring of five ended at generation 34, the new one began at 35.
            for newest in 34 + segments..70 {
                let mut generations = vec![None; segments as usize];
                for generation in newest + 1 - segments..=newest {
                    generations[(generation % segments) as usize] = Some(generation);
                }
                generations.extend(behind.iter().copied().map(Some));
                let found = segments_of(&generations).map(u64::from);
                // Where both fit, nothing is missed by reading the old ones, too.
                assert!(found >= Some(segments), "{segments} segments, newest {newest}: {found:?}");
                let whole = found.unwrap();
                for generation in newest + 1 - segments..=newest {
                    assert_eq!(generation % whole, generation % segments, "{newest}");
                }
            }
        }
        assert_eq!(segments_of(&[None, None, None]), None);
        assert_eq!(segments_of(&[None, Some(1), None]), Some(3));
        assert_eq!(segments_of(&[Some(3), Some(1), Some(2)]), Some(3));
    }
}
