//! The form of an item: sealing, opening, and walking over a file. No I/O.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use bytes::Bytes;
use uuid::Uuid;

use super::{ContentDigest, ContentError, ContentRef, DataKey, digest_with, random};

/// A key ready for use.
pub(crate) struct SealKey {
    pub(crate) id: Uuid,
    key: LessSafeKey,
}

/// The header of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) record: Uuid,
    pub(crate) key: Uuid,
    nonce: [u8; 12],
    pub(crate) len: u64,
}

/// What stands at some place of a content file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Walk {
    /// An item that is all there; whether its checksums are right, and where the next begins.
    Whole { item: Item, is_sound: bool, next: u64 },
    /// The file ends within it.
    Torn,
    /// Not the begin of an item.
    Damaged,
}

impl SealKey {
    pub(crate) fn new(key: &DataKey) -> Self {
        let unbound =
            UnboundKey::new(&AES_256_GCM, key.key.as_ref()).expect("an AES-256 key has 32 bytes");
        Self { id: key.id, key: LessSafeKey::new(unbound) }
    }
}

/// Bytes of an item for content of this length.
pub(crate) fn sealed_len(len: u64) -> u64 {
    let plain = len.saturating_add(SALT as u64);
    let frames = plain.div_ceil(FRAME as u64);
    plain.saturating_add(HEADER as u64 + frames * OVERHEAD as u64)
}

/// Appends an item of a workspace and record to `out`, frame by frame; `flush` may take from `out`
/// after each.
pub(crate) fn seal<E>(
    out: &mut Vec<u8>,
    key: &SealKey,
    (workspace, record): (Uuid, Uuid),
    content: (&ContentDigest, &[Bytes]),
    mut flush: impl FnMut(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let (digest, parts) = content;
    let item = Item { record, key: key.id, nonce: random(), len: digest.len };
    item.write(out);
    let mut rest = digest.len + SALT as u64;
    let mut start = out.len();
    let mut number = 0;
    let pieces = std::iter::once(digest.salt.as_slice()).chain(parts.iter().map(Bytes::as_ref));
    for mut piece in pieces {
        while !piece.is_empty() {
            let taken = piece.len().min(FRAME - (out.len() - start));
            let (now, later) = piece.split_at(taken);
            out.extend_from_slice(now);
            piece = later;
            rest -= taken as u64;
            if rest == 0 || out.len() - start == FRAME {
                let aad = item.aad(workspace, number, rest == 0);
                seal_frame(out, start, key, item.nonce(number), aad);
                flush(out)?;
                start = out.len();
                number += 1;
            }
        }
    }
    Ok(())
}

/// Opens an item and compares it with what was recorded. `bytes` are those of [`sealed_len`].
pub(crate) fn open(
    bytes: &[u8],
    reference: &ContentRef,
    key: &SealKey,
) -> Result<Vec<u8>, ContentError> {
    let (item, mut rest) = Item::read(bytes).ok_or(ContentError::Damaged)?;
    if item.record != reference.record || item.key != key.id || item.len != reference.len {
        return Err(ContentError::Damaged);
    }
    let mut left = item.len + SALT as u64;
    let mut plain = Vec::with_capacity(rest.len());
    let mut number = 0;
    while left > 0 {
        let len = usize::try_from(left).unwrap_or(FRAME).min(FRAME);
        left -= len as u64;
        let (frame, tail) =
            rest.split_at_checked(len + TAG + CHECK).ok_or(ContentError::Damaged)?;
        let (sealed, _) = frame.split_at_checked(len + TAG).ok_or(ContentError::Damaged)?;
        let start = plain.len();
        plain.extend_from_slice(sealed);
        let aad = item.aad(reference.workspace, number, left == 0);
        let in_place = plain.get_mut(start..).unwrap_or_default();
        key.key
            .open_in_place(item.nonce(number), Aad::from(aad), in_place)
            .map_err(|_| ContentError::Damaged)?;
        plain.truncate(start + len);
        rest = tail;
        number += 1;
    }
    let content = plain.split_off(SALT.min(plain.len()));
    let salt = plain.try_into().map_err(|_| ContentError::Damaged)?;
    let found = digest_with(salt, std::iter::once(content.as_slice()));
    if found.sha256 == reference.digest { Ok(content) } else { Err(ContentError::Damaged) }
}

/// Looks at what begins at `at`.
pub(crate) fn walk(file: &[u8], at: u64) -> Walk {
    let Some(bytes) = usize::try_from(at).ok().and_then(|at| file.get(at..)) else {
        return Walk::Torn;
    };
    if bytes.len() < HEADER {
        return Walk::Torn;
    }
    let Some((item, frames)) = Item::read(bytes) else {
        // Zeros are what a file system leaves where a size reached the disk before its bytes.
        let is_zero = bytes.iter().all(|byte| *byte == 0);
        return if is_zero { Walk::Torn } else { Walk::Damaged };
    };
    let Some(next) = at.checked_add(sealed_len(item.len)).filter(|next| *next <= file.len() as u64)
    else {
        return Walk::Torn;
    };
    let mut rest = frames;
    let mut left = item.len + SALT as u64;
    let mut is_sound = true;
    while left > 0 {
        let len = usize::try_from(left).unwrap_or(FRAME).min(FRAME);
        left -= len as u64;
        let Some((frame, tail)) = rest.split_at_checked(len + TAG + CHECK) else {
            return Walk::Torn;
        };
        let (sealed, check) = frame.split_at(len + TAG);
        is_sound &= crc32c::crc32c(sealed).to_be_bytes() == check;
        rest = tail;
    }
    Walk::Whole { item, is_sound, next }
}

/// Where the last sound item ends; what stands before it may be damaged.
pub(crate) fn sound_end(file: &[u8]) -> u64 {
    let (mut end, mut at) = (0, 0);
    while at < file.len() as u64 {
        match walk(file, at) {
            Walk::Whole { is_sound, next, .. } => {
                end = if is_sound { next } else { end };
                at = next;
            }
            Walk::Torn | Walk::Damaged => match next_header(file, at + 1) {
                Some(found) => at = found,
                None => break,
            },
        }
    }
    end
}

/// The next place at or after `from` where an item begins.
fn next_header(file: &[u8], from: u64) -> Option<u64> {
    let from = usize::try_from(from).ok()?;
    let rest = file.get(from..)?;
    let is_magic = |(_, four): &(usize, &[u8])| *four == MAGIC;
    let candidates = rest.windows(MAGIC.len()).enumerate().filter(is_magic);
    let is_header = |at: &usize| rest.get(*at..).is_some_and(|it| Item::read(it).is_some());
    candidates.map(|(at, _)| at).find(is_header).map(|at| (from + at) as u64)
}

impl Item {
    fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (header, rest) = bytes.split_first_chunk::<HEADER>()?;
        let (magic, fields) = header.split_first_chunk::<4>()?;
        let (record, fields) = fields.split_first_chunk::<16>()?;
        let (key, fields) = fields.split_first_chunk::<16>()?;
        let (nonce, fields) = fields.split_first_chunk::<12>()?;
        let (len, _) = fields.split_first_chunk::<8>()?;
        let item = Self {
            record: Uuid::from_bytes(*record),
            key: Uuid::from_bytes(*key),
            nonce: *nonce,
            len: u64::from_be_bytes(*len),
        };
        let mut again = Vec::with_capacity(HEADER);
        item.write(&mut again);
        (magic == MAGIC && again == header && item.len < MAX_CONTENT).then_some((item, rest))
    }

    fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(self.record.as_bytes());
        out.extend_from_slice(self.key.as_bytes());
        out.extend_from_slice(&self.nonce);
        out.extend_from_slice(&self.len.to_be_bytes());
        let check = crc32c::crc32c(out.get(start..).unwrap_or_default());
        out.extend_from_slice(&check.to_be_bytes());
    }

    fn nonce(&self, number: u32) -> Nonce {
        let mut nonce = self.nonce;
        let [.., a, b, c, d] = &mut nonce;
        for (byte, count) in [a, b, c, d].into_iter().zip(number.to_be_bytes()) {
            *byte ^= count;
        }
        Nonce::assume_unique_for_key(nonce)
    }

    fn aad(&self, workspace: Uuid, number: u32, is_last: bool) -> [u8; AAD] {
        let mut aad = [0; AAD];
        let parts: [&[u8]; 5] = [
            workspace.as_bytes(),
            self.record.as_bytes(),
            &self.len.to_be_bytes(),
            &number.to_be_bytes(),
            &[u8::from(is_last)],
        ];
        for (to, from) in aad.iter_mut().zip(parts.into_iter().flatten()) {
            *to = *from;
        }
        aad
    }
}

fn seal_frame(out: &mut Vec<u8>, start: usize, key: &SealKey, nonce: Nonce, aad: [u8; AAD]) {
    let plain = out.get_mut(start..).unwrap_or_default();
    let tag = key
        .key
        .seal_in_place_separate_tag(nonce, Aad::from(aad), plain)
        .expect("a frame is far below the limit of AES-GCM");
    out.extend_from_slice(tag.as_ref());
    let check = crc32c::crc32c(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&check.to_be_bytes());
}

/// Plaintext bytes of a full frame.
const FRAME: usize = 1024 * 1024;
pub(crate) const HEADER: usize = 60;
const SALT: usize = 16;
const TAG: usize = 16;
const CHECK: usize = 4;
const OVERHEAD: usize = TAG + CHECK;
const AAD: usize = 16 + 16 + 8 + 4 + 1;
const MAGIC: &[u8; 4] = b"OSC1";
/// Keeps sums of lengths from overflowing; far above any message.
pub(crate) const MAX_CONTENT: u64 = 1 << 48;

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::content::digest;

    #[test]
    fn content_comes_back_whatever_its_size_and_parts() {
        let cases: [&[usize]; 8] = [
            &[],
            &[0],
            &[1],
            &[5, 0, 7],
            &[FRAME - SALT],
            &[FRAME - SALT, 1],
            &[FRAME, FRAME, 3],
            &[10, FRAME * 2 + 5, 10],
        ];
        for sizes in cases {
            let (parts, reference, sealed) = sealed(sizes);
            assert_eq!(sealed.len() as u64, sealed_len(reference.len), "{sizes:?}");
            let content = open(&sealed, &reference, &key(1)).unwrap();
            assert_eq!(content, parts.concat(), "{sizes:?}");
            let Walk::Whole { is_sound: true, next, .. } = walk(&sealed, 0) else {
                panic!("{sizes:?}")
            };
            assert_eq!(next, sealed.len() as u64);
        }
    }

    #[test]
    fn every_flipped_byte_is_noticed_with_the_key_and_without() {
        let (_, reference, sealed) = sealed(&[40]);
        for at in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[at] ^= 1;
            let is_check = at >= sealed.len() - CHECK;
            assert!(is_check || open(&bad, &reference, &key(1)).is_err(), "byte {at}");
            assert!(!matches!(walk(&bad, 0), Walk::Whole { is_sound: true, .. }), "byte {at}");
        }
    }

    #[test]
    fn content_opens_only_in_its_own_place() {
        let (_, reference, sealed) = sealed(&[40]);
        let cases = [
            ("workspace", ContentRef { workspace: Uuid::from_u128(9), ..reference.clone() }),
            ("record", ContentRef { record: Uuid::from_u128(9), ..reference.clone() }),
            ("length", ContentRef { len: 39, ..reference.clone() }),
            ("digest", ContentRef { digest: [0; 32], ..reference.clone() }),
        ];
        for (case, other) in cases {
            assert!(matches!(open(&sealed, &other, &key(1)), Err(ContentError::Damaged)), "{case}");
        }
        assert!(matches!(open(&sealed, &reference, &key(2)), Err(ContentError::Damaged)));
        for len in 0..sealed.len() {
            assert!(
                open(&sealed[..len], &reference, &key(1)).is_err() || len >= sealed.len() - CHECK
            );
            assert_eq!(walk(&sealed[..len], 0), Walk::Torn);
        }
    }

    #[test]
    fn frames_cannot_be_swapped_or_dropped() {
        let (_, reference, sealed) = sealed(&[FRAME * 2]);
        let frame = FRAME + OVERHEAD;
        let mut swapped = sealed[..HEADER].to_vec();
        swapped.extend_from_slice(&sealed[HEADER + frame..HEADER + 2 * frame]);
        swapped.extend_from_slice(&sealed[HEADER..HEADER + frame]);
        swapped.extend_from_slice(&sealed[HEADER + 2 * frame..]);
        assert!(open(&swapped, &reference, &key(1)).is_err());
    }

    fn key(id: u128) -> SealKey {
        SealKey::new(&DataKey {
            id: Uuid::from_u128(id),
            key: Zeroizing::new([u8::try_from(id).unwrap(); 32]),
        })
    }

    fn sealed(sizes: &[usize]) -> (Vec<Bytes>, ContentRef, Vec<u8>) {
        let parts: Vec<Bytes> = sizes
            .iter()
            .map(|size| Bytes::from([b'a', b'b', b'c'].repeat(*size)[..*size].to_vec()))
            .collect();
        let digest = digest(&parts);
        let reference = ContentRef {
            workspace: Uuid::from_u128(3),
            record: Uuid::from_u128(4),
            day: 0,
            segment: 0,
            offset: 0,
            key: Uuid::from_u128(1),
            digest: digest.sha256,
            len: digest.len,
        };
        let mut out = vec![];
        let whose = (reference.workspace, reference.record);
        seal(&mut out, &key(1), whose, (&digest, &parts), |_| Ok::<(), ()>(())).unwrap();
        (parts, reference, out)
    }
}
