//! A set of rules, by index, that lives on the stack: clean content costs no allocation.

/// More rules than this are refused when they are compiled.
pub(crate) const MAX_RULES: usize = 1024;

const WORDS: usize = MAX_RULES / 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bits([u64; WORDS]);

impl Bits {
    pub(crate) const NONE: Self = Self([0; WORDS]);

    pub(crate) fn insert(&mut self, index: usize) {
        self.0[index / 64] |= 1 << (index % 64);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0 == Self::NONE.0
    }

    /// The smallest member that is not below `index`.
    pub(crate) fn next_from(&self, index: usize) -> Option<usize> {
        let mut word = index / 64;
        let mut left = self.0.get(word)? & (u64::MAX << (index % 64));
        while left == 0 {
            word += 1;
            left = *self.0.get(word)?;
        }
        Some(word * 64 + left.trailing_zeros() as usize)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        std::iter::successors(self.next_from(0), |index| self.next_from(index + 1))
    }

    pub(crate) fn union(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] | other.0[word]))
    }

    pub(crate) fn intersection(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] & other.0[word]))
    }

    pub(crate) fn difference(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] & !other.0[word]))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behave_as_a_sorted_set(
            ours in prop::collection::btree_set(0..MAX_RULES, 0..40),
            theirs in prop::collection::btree_set(0..MAX_RULES, 0..40),
            from in 0..MAX_RULES + 70,
        ) {
            let (a, b) = (bits(&ours), bits(&theirs));
            let members = |bits: Bits| bits.iter().collect::<BTreeSet<_>>();
            prop_assert_eq!(members(a), ours.clone());
            prop_assert_eq!(members(a.union(b)), &ours | &theirs);
            prop_assert_eq!(members(a.intersection(b)), &ours & &theirs);
            prop_assert_eq!(members(a.difference(b)), &ours - &theirs);
            prop_assert_eq!(a.next_from(from), ours.range(from..).next().copied());
            prop_assert_eq!(a.is_empty(), ours.is_empty());
        }
    }

    fn bits(members: &BTreeSet<usize>) -> Bits {
        let mut bits = Bits::NONE;
        members.iter().for_each(|index| bits.insert(*index));
        bits
    }
}
