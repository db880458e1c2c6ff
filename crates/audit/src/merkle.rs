//! The Merkle tree of RFC 6962, section 2.1, over SHA-256. Pure.
//!
//! Numbers of leaves are `u64`; every function says what it does with a size of zero or an index
//! beyond the size, because verifiers have been fooled there before.

use aws_lc_rs::digest::{Context, SHA256};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// The root of a tree without leaves.
pub const EMPTY_ROOT: Hash = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// Why a proof does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// Nothing is in an empty tree.
    #[error("the tree is empty")]
    EmptyTree,
    /// The index is not below the size, or the older tree is larger than the newer.
    #[error("the proof reaches outside the tree")]
    OutsideTree,
    /// A proof for this place in this tree has another number of hashes.
    #[error("the proof has the wrong length")]
    WrongLength,
    /// The hashes do not lead to the root.
    #[error("the proof leads to another root")]
    WrongRoot,
}

/// The hash of an entry.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    sha256(&[&[0], entry])
}

/// The hash over two subtrees.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], left, right])
}

/// The peaks of a growing tree: the roots of its perfect subtrees, largest first. Enough to
/// append and to tell the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Peaks {
    size: u64,
    peaks: Vec<Hash>,
}

impl Peaks {
    /// `peaks` are those of a tree of `size`: one for each bit that is set, highest first.
    pub(crate) fn new(size: u64, peaks: Vec<Hash>) -> Option<Self> {
        (peaks.len() == size.count_ones() as usize).then_some(Self { size, peaks })
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf. `completed` is told of each perfect subtree that ends here, lowest first,
    /// with its height; the leaf itself has height 0.
    pub(crate) fn push(&mut self, leaf: Hash, mut completed: impl FnMut(u32, Hash)) {
        let mut hash = leaf;
        completed(0, hash);
        for height in 1..=self.size.trailing_ones() {
            let left = self.peaks.pop().expect("a set bit of the size has a peak");
            hash = node_hash(&left, &hash);
            completed(height, hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    pub(crate) fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return EMPTY_ROOT };
        peaks.fold(*last, |right, left| node_hash(left, &right))
    }
}

/// The root of a tree with these leaf hashes.
#[must_use]
pub fn root_of(leaves: &[Hash]) -> Hash {
    let mut peaks = Peaks::default();
    leaves.iter().for_each(|leaf| peaks.push(*leaf, |_, _| {}));
    peaks.root()
}

/// Checks that `leaf` is at `index` of the tree of `size` with `root` (RFC 9162, section 2.1.3.2).
///
/// # Errors
///
/// When it is not, or when the proof is not of the only form that is right for this place.
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    path: &[Hash],
    root: &Hash,
) -> Result<(), Unproven> {
    if size == 0 {
        return Err(Unproven::EmptyTree);
    }
    if index >= size {
        return Err(Unproven::OutsideTree);
    }
    let (mut place, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for step in path {
        if last == 0 {
            return Err(Unproven::WrongLength);
        }
        if place & 1 == 1 || place == last {
            hash = node_hash(step, &hash);
            // A right edge without a sibling is carried up until it has one.
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, step);
        }
        place >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(Unproven::WrongLength);
    }
    if hash == *root { Ok(()) } else { Err(Unproven::WrongRoot) }
}

/// Checks that the tree of `old` is a prefix of the tree of `new`, each given as size and root
/// (RFC 9162, section 2.1.4.2). An empty old tree is a prefix of every tree, with an empty proof.
///
/// # Errors
///
/// When it is not: the log has two histories.
pub fn verify_consistency(
    old: (u64, &Hash),
    new: (u64, &Hash),
    proof: &[Hash],
) -> Result<(), Unproven> {
    let ((old_size, old_root), (new_size, new_root)) = (old, new);
    if old_size > new_size {
        return Err(Unproven::OutsideTree);
    }
    if old_size == 0 || old_size == new_size {
        let expected = if old_size == 0 { &EMPTY_ROOT } else { new_root };
        return match (proof.is_empty(), old_root == expected) {
            (false, _) => Err(Unproven::WrongLength),
            (true, false) => Err(Unproven::WrongRoot),
            (true, true) => Ok(()),
        };
    }
    let (mut place, mut last) = (old_size - 1, new_size - 1);
    let shift = place.trailing_ones();
    place >>= shift;
    last >>= shift;
    let mut steps = proof.iter();
    // A whole subtree is its own start; the proof does not repeat the root the verifier has.
    let start = if old_size.is_power_of_two() { Some(old_root) } else { steps.next() };
    let Some(start) = start else { return Err(Unproven::WrongLength) };
    let (mut old_hash, mut new_hash) = (*start, *start);
    for step in steps {
        if last == 0 {
            return Err(Unproven::WrongLength);
        }
        if place & 1 == 1 || place == last {
            old_hash = node_hash(step, &old_hash);
            new_hash = node_hash(step, &new_hash);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, step);
        }
        place >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(Unproven::WrongLength);
    }
    if old_hash == *old_root && new_hash == *new_root { Ok(()) } else { Err(Unproven::WrongRoot) }
}

/// A run of leaves whose hash is a step of a proof: `start..end`.
pub(crate) type Span = (u64, u64);

/// The spans whose hashes prove `index` in a tree of `size`, from the leaf upwards (RFC 6962,
/// section 2.1.1). Empty when the index is outside the tree.
pub(crate) fn inclusion_spans(index: u64, size: u64) -> Vec<Span> {
    let mut spans = vec![];
    let (mut start, mut end) = (0, size);
    if index >= size {
        return spans;
    }
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            spans.push((middle, end));
            end = middle;
        } else {
            spans.push((start, middle));
            start = middle;
        }
    }
    spans.reverse();
    spans
}

/// The spans whose hashes prove that the tree of `old` is a prefix of that of `new` (RFC 6962,
/// section 2.1.2). Empty for an empty or equal old tree.
pub(crate) fn consistency_spans(old: u64, new: u64) -> Vec<Span> {
    let mut spans = vec![];
    if old == 0 || old >= new {
        return spans;
    }
    let (mut start, mut end) = (0, new);
    let mut is_whole = true;
    while old != end {
        let middle = start + split(end - start);
        if old <= middle {
            spans.push((middle, end));
            end = middle;
        } else {
            spans.push((start, middle));
            start = middle;
            is_whole = false;
        }
    }
    if !is_whole {
        spans.push((start, end));
    }
    spans.reverse();
    spans
}

/// The perfect subtrees of a span, left to right, as height and number within the height. The
/// start of a span is a multiple of the largest power of two below its length, as in every proof.
pub(crate) fn subtrees((start, end): Span) -> Vec<(u32, u64)> {
    let mut subtrees = vec![];
    let mut at = start;
    while at < end {
        let height = (end - at).ilog2();
        subtrees.push((height, at >> height));
        at += 1 << height;
    }
    subtrees
}

/// The hash of a span from the hashes of its [`subtrees`].
pub(crate) fn join(subtrees: &[Hash]) -> Hash {
    let mut from_right = subtrees.iter().rev();
    let Some(last) = from_right.next() else { return EMPTY_ROOT };
    from_right.fold(*last, |right, left| node_hash(left, &right))
}

/// The largest power of two below `len`, which is above one.
fn split(len: u64) -> u64 {
    1 << (len - 1).ilog2()
}

fn sha256(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_those_of_the_definition() {
        for size in 0..70 {
            let leaves = leaves(size);
            assert_eq!(root_of(&leaves), by_definition(&leaves), "size {size}");
        }
    }

    #[test]
    fn roots_are_those_of_the_rfc_test_vectors() {
        let entries: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let leaves: Vec<Hash> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        assert_eq!(
            hex::encode(root_of(&leaves)),
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
        );
        assert_eq!(
            hex::encode(leaf_hash(b"")),
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
        );
    }

    #[test]
    fn every_inclusion_proof_holds_only_in_its_place() {
        for size in 1..40u64 {
            let leaves = leaves(size);
            let root = root_of(&leaves);
            for index in 0..size {
                let path = hashes(&leaves, &inclusion_spans(index, size));
                let leaf = &leaves[usize::try_from(index).unwrap()];
                assert_eq!(verify_inclusion(leaf, index, size, &path, &root), Ok(()));
                for other in (0..size + 2).filter(|other| *other != index) {
                    assert!(verify_inclusion(leaf, other, size, &path, &root).is_err());
                }
                let longer = [path.as_slice(), &[root]].concat();
                assert_eq!(
                    verify_inclusion(leaf, index, size, &longer, &root),
                    Err(Unproven::WrongLength)
                );
                if let Some((_, shorter)) = path.split_last() {
                    assert!(verify_inclusion(leaf, index, size, shorter, &root).is_err());
                }
            }
        }
    }

    #[test]
    fn every_consistency_proof_holds_only_between_its_trees() {
        for new in 1..40u64 {
            let all = leaves(new);
            let new_root = root_of(&all);
            for old in 0..=new {
                let old_root = root_of(&all[..usize::try_from(old).unwrap()]);
                let proof = hashes(&all, &consistency_spans(old, new));
                let verify = |old, new, proof: &[Hash]| {
                    verify_consistency((old, &old_root), (new, &new_root), proof)
                };
                assert_eq!(verify(old, new, &proof), Ok(()), "{old} of {new}");
                assert!(verify(old, new, &[&proof[..], &[old_root]].concat()).is_err());
                if let Some((_, shorter)) = proof.split_last() {
                    assert!(verify(old, new, shorter).is_err());
                }
                if old > 0 && old < new {
                    assert!(verify(old - 1, new, &proof).is_err() || old == 1);
                    assert!(
                        verify_consistency((old, &new_root), (new, &new_root), &proof).is_err()
                    );
                    assert!(
                        verify_consistency((old, &old_root), (new, &old_root), &proof).is_err()
                    );
                }
            }
        }
    }

    #[test]
    fn h154_empty_trees_and_outside_places_prove_nothing() {
        let leaf = leaf_hash(b"x");
        assert_eq!(verify_inclusion(&leaf, 0, 0, &[], &leaf), Err(Unproven::EmptyTree));
        assert_eq!(verify_inclusion(&leaf, 1, 1, &[], &leaf), Err(Unproven::OutsideTree));
        assert_eq!(verify_inclusion(&leaf, u64::MAX, 1, &[], &leaf), Err(Unproven::OutsideTree));
        assert_eq!(verify_inclusion(&leaf, 0, 1, &[], &leaf), Ok(()));
        assert_eq!(verify_consistency((2, &leaf), (1, &leaf), &[]), Err(Unproven::OutsideTree));
        assert_eq!(verify_consistency((0, &leaf), (1, &leaf), &[]), Err(Unproven::WrongRoot));
        assert_eq!(inclusion_spans(3, 3), []);
    }

    fn leaves(size: u64) -> Vec<Hash> {
        (0..size).map(|n| leaf_hash(&n.to_be_bytes())).collect()
    }

    /// RFC 6962, section 2.1, word for word.
    fn by_definition(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => sha256(&[]),
            [leaf] => *leaf,
            _ => {
                let k = usize::try_from(split(leaves.len() as u64)).unwrap();
                node_hash(&by_definition(&leaves[..k]), &by_definition(&leaves[k..]))
            }
        }
    }

    fn hashes(leaves: &[Hash], spans: &[Span]) -> Vec<Hash> {
        let at = |n| usize::try_from(n).unwrap();
        spans.iter().map(|(start, end)| by_definition(&leaves[at(*start)..at(*end)])).collect()
    }
}
