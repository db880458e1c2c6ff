//! How long things took: counts in buckets whose bounds grow by a tenth, so that they can be added up.
//!
//! What is read from it is the middle of a bucket and so off by less than 5 % (`(1.1 - 1) / (1.1 + 1)`),
//! however many of them have been added. All the same a few dozen bytes are kept of each: of most
//! buckets there is nothing.

use std::collections::BTreeMap;

/// By the number of the bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Histogram(BTreeMap<u16, u64>);

const GROWTH: f64 = 1.1;

/// The last bucket: more than a day of microseconds.
const LAST: u16 = 270;

impl Histogram {
    pub(super) fn add(&mut self, micros: u64) {
        *self.0.entry(bucket(micros)).or_default() += 1;
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (bucket, count) in &other.0 {
            *self.0.entry(*bucket).or_default() += count;
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.0.values().sum()
    }

    /// What so large a part of all took at most, in microseconds; nothing where there was nothing.
    pub(super) fn quantile(&self, part: f64) -> Option<f64> {
        let count = self.count();
        #[expect(clippy::cast_precision_loss, reason = "nobody counts so far")]
        let rank = (part * count as f64).ceil().max(1.0);
        let mut seen = 0_u64;
        self.0.iter().find_map(|(bucket, count)| {
            seen += count;
            #[expect(clippy::cast_precision_loss, reason = "nobody counts so far")]
            let is_there = rank <= seen as f64;
            is_there.then(|| middle(*bucket))
        })
    }

    /// Pairs of numbers, each in groups of seven bits, the lowest first: how far the bucket is behind the
    /// one before it, and its count.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut last = 0;
        for (bucket, count) in &self.0 {
            put(&mut bytes, u64::from(bucket - last));
            put(&mut bytes, *count);
            last = *bucket;
        }
        bytes
    }

    /// Nothing where it is of no form that this version knows.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (mut rest, mut last, mut all) = (bytes, 0_u16, BTreeMap::new());
        while !rest.is_empty() {
            let (gap, count) = (take(&mut rest)?, take(&mut rest)?);
            last = last.checked_add(u16::try_from(gap).ok()?).filter(|it| *it <= LAST)?;
            all.insert(last, count);
        }
        Some(Self(all))
    }
}

/// The first one holds what took no time, the others what took longer than the one before them and no
/// longer than a tenth more.
fn bucket(micros: u64) -> u16 {
    if micros == 0 {
        return 0;
    }
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a logarithm is small, and that of 1 and more not negative"
    )]
    let at = ((micros as f64).ln() / GROWTH.ln()).ceil() as u64;
    u16::try_from(at).unwrap_or(LAST).saturating_add(1).min(LAST)
}

fn middle(bucket: u16) -> f64 {
    match bucket {
        0 => 0.0,
        // Between the bounds, so that it is off by the same part of either.
        _ => 2.0 * GROWTH.powi(i32::from(bucket) - 1) / (GROWTH + 1.0),
    }
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or_default();
        number >>= 7;
        if number == 0 {
            return bytes.push(low);
        }
        bytes.push(low | 0x80);
    }
}

fn take(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..63).step_by(7) {
        let (first, others) = rest.split_first()?;
        *rest = others;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_read_is_off_by_less_than_a_twentieth(
            all in prop::collection::vec(1_u64..80_000_000_000, 1..300),
            part in 0.0_f64..=1.0,
        ) {
            let (mut one, mut other) = (Histogram::default(), Histogram::default());
            for (i, it) in all.iter().enumerate() {
                if i % 2 == 0 { one.add(*it) } else { other.add(*it) }
            }
            one.merge(&other);
            let mut sorted = all.clone();
            sorted.sort_unstable();
            let wanted = part * all.len() as f64;
            let rank = (1..=all.len()).find(|it| wanted <= *it as f64).unwrap_or(1);
            let exact = sorted[rank - 1] as f64;
            let read = one.quantile(part).unwrap();
            prop_assert!((read - exact).abs() <= 0.05 * exact, "{read} {exact}");
            prop_assert_eq!(one.count(), all.len() as u64);
        }

        #[test]
        fn what_is_kept_is_read_back(all in prop::collection::vec(any::<u64>(), 0..100)) {
            let mut it = Histogram::default();
            all.iter().for_each(|micros| it.add(*micros));
            prop_assert_eq!(Histogram::from_bytes(&it.to_bytes()), Some(it));
        }

        #[test]
        fn other_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Some(it) = Histogram::from_bytes(&bytes) {
                prop_assert!(it.0.keys().all(|it| *it <= LAST));
            }
        }
    }

    #[test]
    fn nothing_took_no_time() {
        assert_eq!(Histogram::default().quantile(0.5), None);
        let mut it = Histogram::default();
        it.add(0);
        assert_eq!(it.quantile(0.99), Some(0.0));
    }
}
