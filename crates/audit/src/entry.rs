//! What is recorded, and the form in which it stands in segments and in the tree.
//!
//! An entry is 36 bytes of head and then the leaf. All numbers are big-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 0 | version of the form, 1 |
//! | 1 | kind: 1 intent, 2 outcome, 3 admin, 4 system |
//! | 2 | flags: bit 0 is set when the clock stood before an earlier record |
//! | 3 | 0 |
//! | 4..20 | workspace |
//! | 20..28 | time, milliseconds since 1970 |
//! | 28..36 | sequence: counts the records of all workspaces |
//! | 36.. | leaf: one line of JSON, at most 60 KiB |
//!
//! The hash of a tree leaf is that of exactly these bytes (RFC 6962, section 2.1).

use uuid::Uuid;

/// The longest leaf in bytes. With its head it fits the 65 535 bytes of a C2SP entry.
pub const MAX_LEAF: usize = 60 * 1024;

/// What a record tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A call is about to leave for its upstream.
    Intent,
    /// What became of a call.
    Outcome,
    /// An administrative act, a cut-off or a sign-in.
    Admin,
    /// Something the gateway did by itself.
    System,
}

/// A record to append.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Whose log it belongs to.
    pub workspace: Uuid,
    /// What it tells of.
    pub kind: Kind,
    /// One line of canonical JSON, built with [`crate::Leaf`]; at most [`MAX_LEAF`] bytes.
    pub leaf: Vec<u8>,
}

/// An entry as read back from a segment or from the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Whose log it belongs to.
    pub workspace: Uuid,
    /// What it tells of.
    pub kind: Kind,
    /// The clock stood before an earlier record, so `time_ms` is that record's time.
    pub clock_suspect: bool,
    /// Milliseconds since 1970. Never goes back within a log.
    pub time_ms: i64,
    /// Counts the records of all workspaces.
    pub sequence: u64,
    /// One line of JSON.
    pub leaf: &'a [u8],
}

impl Kind {
    /// The word used in leaves and in listings.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Outcome => "outcome",
            Self::Admin => "admin",
            Self::System => "system",
        }
    }

    fn code(self) -> u8 {
        match self {
            Self::Intent => 1,
            Self::Outcome => 2,
            Self::Admin => 3,
            Self::System => 4,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Intent,
            2 => Self::Outcome,
            3 => Self::Admin,
            4 => Self::System,
            _ => return None,
        })
    }

    /// Whether the reserve may be used for it when the disk is full: cut-offs and sign-ins are.
    pub(crate) fn is_privileged(self) -> bool {
        matches!(self, Self::Admin | Self::System)
    }
}

impl<'a> Record<'a> {
    /// Reads an entry. `None` when it is not of a form this version knows.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (head, leaf) = bytes.split_first_chunk::<HEAD>()?;
        let (fixed, rest) = head.split_first_chunk::<4>()?;
        let (workspace, rest) = rest.split_first_chunk::<16>()?;
        let (time_ms, rest) = rest.split_first_chunk::<8>()?;
        let (sequence, _) = rest.split_first_chunk::<8>()?;
        let [VERSION, kind, flags @ (0 | CLOCK_SUSPECT), 0] = *fixed else { return None };
        Some(Self {
            workspace: Uuid::from_bytes(*workspace),
            kind: Kind::from_code(kind)?,
            clock_suspect: flags == CLOCK_SUSPECT,
            time_ms: i64::from_be_bytes(*time_ms),
            sequence: u64::from_be_bytes(*sequence),
            leaf,
        })
    }

    /// Appends the entry to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        let flags = if self.clock_suspect { CLOCK_SUSPECT } else { 0 };
        out.extend_from_slice(&[VERSION, self.kind.code(), flags, 0]);
        out.extend_from_slice(self.workspace.as_bytes());
        out.extend_from_slice(&self.time_ms.to_be_bytes());
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(self.leaf);
    }
}

/// Sets what only the writer knows. `entry` was made by [`Record::write`].
pub(crate) fn stamp(entry: &mut [u8], sequence: u64, time: impl FnOnce(i64) -> (i64, bool)) {
    let Some(head) = entry.first_chunk_mut::<HEAD>() else { return };
    let [_, _, flags, _, .., t0, t1, t2, t3, t4, t5, t6, t7, s0, s1, s2, s3, s4, s5, s6, s7] = head;
    let now = i64::from_be_bytes([*t0, *t1, *t2, *t3, *t4, *t5, *t6, *t7]);
    let (time_ms, suspect) = time(now);
    *flags = if suspect { CLOCK_SUSPECT } else { 0 };
    [*t0, *t1, *t2, *t3, *t4, *t5, *t6, *t7] = time_ms.to_be_bytes();
    [*s0, *s1, *s2, *s3, *s4, *s5, *s6, *s7] = sequence.to_be_bytes();
}

/// Bytes before the leaf.
pub(crate) const HEAD: usize = 36;
/// The longest entry in bytes.
pub(crate) const MAX_ENTRY: usize = HEAD + MAX_LEAF;
const VERSION: u8 = 1;
const CLOCK_SUSPECT: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_survives_the_round_trip_and_takes_the_writers_stamp() {
        let record = Record {
            workspace: Uuid::from_u128(7),
            kind: Kind::Outcome,
            clock_suspect: false,
            time_ms: 1_700_000_000_123,
            sequence: 0,
            leaf: br#"{"kind":"outcome"}"#,
        };
        let mut bytes = Vec::new();
        record.write(&mut bytes);
        assert_eq!(Record::parse(&bytes), Some(record));

        stamp(&mut bytes, u64::MAX - 1, |now| (now + 1, true));
        let stamped = Record {
            clock_suspect: true,
            time_ms: record.time_ms + 1,
            sequence: u64::MAX - 1,
            ..record
        };
        assert_eq!(Record::parse(&bytes), Some(stamped));
    }

    #[test]
    fn unknown_forms_are_not_read() {
        let mut good = Vec::new();
        let record = Record {
            workspace: Uuid::nil(),
            kind: Kind::Admin,
            clock_suspect: false,
            time_ms: 0,
            sequence: 0,
            leaf: b"{}",
        };
        record.write(&mut good);
        for (at, value) in [(0, 2), (1, 0), (1, 5), (2, 2), (3, 1)] {
            let mut bad = good.clone();
            bad[at] = value;
            assert_eq!(Record::parse(&bad), None, "byte {at} = {value}");
        }
        assert_eq!(Record::parse(&good[..HEAD - 1]), None);
    }
}
