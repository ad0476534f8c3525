//! Latencies in little memory: buckets that grow with the value.

use std::time::Duration;

/// Buckets per doubling. A value is known to within 1/128 of itself (0.8 %).
const PER_DOUBLING: u64 = 1 << PER_DOUBLING_BITS;
const PER_DOUBLING_BITS: u32 = 7;
/// The longest time told apart, 2^42 ns (73 minutes); what took longer counts as that long.
const LONGEST_BITS: u32 = 42;
const BUCKETS: usize = ((LONGEST_BITS - PER_DOUBLING_BITS + 1) as usize) << PER_DOUBLING_BITS;

/// How often each latency was seen, in nanoseconds, with a bounded relative error.
///
/// Takes 36 KiB whatever it has seen; two histograms can be added up.
#[derive(Clone)]
pub struct Histogram {
    buckets: Box<[u64]>,
    count: u64,
    sum_ns: u128,
    longest_ns: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS].into(), count: 0, sum_ns: 0, longest_ns: 0 }
    }
}

impl Histogram {
    /// Adds one latency.
    pub fn record(&mut self, latency: Duration) {
        let ns = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX).min((1 << LONGEST_BITS) - 1);
        self.buckets[bucket_of(ns)] += 1;
        self.count += 1;
        self.sum_ns += u128::from(ns);
        self.longest_ns = self.longest_ns.max(ns);
    }

    /// Adds everything that `other` has seen.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
        self.sum_ns += other.sum_ns;
        self.longest_ns = self.longest_ns.max(other.longest_ns);
    }

    /// How many latencies there are.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The latency that `share` (0 to 1) of all stay at or below, as the upper edge of its bucket:
    /// at most 1/128 above the exact one, and never below it. Zero where nothing was seen.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        let rank = rank(share, self.count);
        let mut seen = 0;
        for (place, times) in self.buckets.iter().enumerate() {
            seen += times;
            if seen >= rank && seen > 0 {
                return Duration::from_nanos(upper_edge(place).min(self.longest_ns));
            }
        }
        Duration::ZERO
    }

    /// The figures that people ask for.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mean = self.sum_ns.checked_div(u128::from(self.count)).unwrap_or_default();
        Summary {
            count: self.count,
            mean: Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX)),
            p50: self.quantile(0.5),
            p90: self.quantile(0.9),
            p99: self.quantile(0.99),
            p999: self.quantile(0.999),
            max: Duration::from_nanos(self.longest_ns),
        }
    }
}

impl std::fmt::Debug for Histogram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.summary().fmt(f)
    }
}

/// A [`Histogram`] in a few figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// How many there are.
    pub count: u64,
    /// The arithmetic mean.
    pub mean: Duration,
    /// Half stay at or below it.
    pub p50: Duration,
    /// Nine of ten stay at or below it.
    pub p90: Duration,
    /// 99 of 100 stay at or below it.
    pub p99: Duration,
    /// 999 of 1000 stay at or below it.
    pub p999: Duration,
    /// The longest, exactly.
    pub max: Duration,
}

/// Which of `count` sorted values, counted from 1, the share asks for.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts stay below 2^53 and the share is clamped"
)]
fn rank(share: f64, count: u64) -> u64 {
    ((share.clamp(0.0, 1.0) * count as f64).ceil() as u64).max(1)
}

/// Below [`PER_DOUBLING`] every value has a bucket of its own; above, each doubling has that many.
fn bucket_of(ns: u64) -> usize {
    let doublings = ns.checked_ilog2().unwrap_or_default().saturating_sub(PER_DOUBLING_BITS);
    let within = (ns >> doublings) + u64::from(doublings) * PER_DOUBLING;
    usize::try_from(within).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

/// The largest value that falls into a bucket.
fn upper_edge(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let doublings = (bucket / PER_DOUBLING).saturating_sub(1);
    ((bucket - doublings * PER_DOUBLING + 1) << doublings) - 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_follow_one_another_without_gap() {
        for bucket in 1..BUCKETS {
            let first = upper_edge(bucket - 1) + 1;
            assert_eq!(bucket_of(first), bucket);
            assert_eq!(bucket_of(upper_edge(bucket)), bucket);
        }
        assert_eq!(upper_edge(BUCKETS - 1), (1 << LONGEST_BITS) - 1);
    }

    #[test]
    fn an_empty_histogram_says_zero() {
        assert_eq!(Histogram::default().summary(), Summary::default());
    }

    #[test]
    fn what_is_too_long_counts_as_the_longest() {
        let mut histogram = Histogram::default();
        histogram.record(Duration::MAX);
        assert_eq!(histogram.summary().max, Duration::from_nanos((1 << LONGEST_BITS) - 1));
    }

    proptest! {
        #[test]
        fn quantiles_are_the_exact_ones_or_little_above(
            values in prop::collection::vec((0_u32..41).prop_flat_map(|bits| 0_u64..(2 << bits)), 1..400),
            split in 0_usize..400,
            shares in prop::collection::vec(0.0_f64..=1.0, 8),
        ) {
            let (left, right) = values.split_at(split.min(values.len()));
            let mut histogram = Histogram::default();
            let mut other = Histogram::default();
            left.iter().for_each(|ns| histogram.record(Duration::from_nanos(*ns)));
            right.iter().for_each(|ns| other.record(Duration::from_nanos(*ns)));
            histogram.merge(&other);
            prop_assert_eq!(histogram.count(), values.len() as u64);

            let mut sorted = values.clone();
            sorted.sort_unstable();
            for share in shares.into_iter().chain([0.0, 0.5, 0.9, 0.99, 0.999, 1.0]) {
                // Independent of `rank`: the smallest value with at least that share at or below it.
                let exact = *sorted
                    .iter()
                    .find(|value| {
                        let below = sorted.iter().filter(|other| other <= value).count();
                        below as f64 >= share * sorted.len() as f64
                    })
                    .unwrap();
                let told = u64::try_from(histogram.quantile(share).as_nanos()).unwrap();
                prop_assert!(told >= exact, "{share}: {told} < {exact}");
                prop_assert!(told - exact <= exact / PER_DOUBLING, "{share}: {told} far above {exact}");
            }
            prop_assert_eq!(histogram.summary().max.as_nanos(), u128::from(*sorted.last().unwrap()));
        }
    }
}
