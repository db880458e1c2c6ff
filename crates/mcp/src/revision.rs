//! The revisions of the protocol, in the order of their dates.

use std::fmt;
use std::str::FromStr;

/// A published revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revision {
    V2024_11_05,
    V2025_03_26,
    V2025_06_18,
    V2025_11_25,
    V2026_07_28,
}

/// Whether a peer keeps sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Era {
    /// `initialize`, then a session: revisions up to 2025-11-25.
    Legacy,
    /// Each request stands for itself: revision 2026-07-28.
    Modern,
}

/// A text that names no revision known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown protocol revision")]
pub struct UnknownRevision;

/// All revisions, oldest first.
pub const ALL: [Revision; 5] = [
    Revision::V2024_11_05,
    Revision::V2025_03_26,
    Revision::V2025_06_18,
    Revision::V2025_11_25,
    Revision::V2026_07_28,
];

/// The newest revision with sessions.
pub const LATEST_LEGACY: Revision = Revision::V2025_11_25;

/// The oldest revision without sessions.
pub const FIRST_MODERN: Revision = Revision::V2026_07_28;

/// The newest revision.
pub const LATEST: Revision = Revision::V2026_07_28;

/// What a legacy `initialize` is answered with: the revision the client asked for if it has
/// sessions, else the newest that has.
pub fn negotiate(requested: &str) -> Revision {
    match requested.parse::<Revision>() {
        Ok(revision) if revision.era() == Era::Legacy => revision,
        _ => LATEST_LEGACY,
    }
}

impl Revision {
    /// The name on the wire: a date.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// Whether its peers keep sessions.
    pub const fn era(self) -> Era {
        match self {
            Self::V2026_07_28 => Era::Modern,
            _ => Era::Legacy,
        }
    }
}

impl FromStr for Revision {
    type Err = UnknownRevision;

    fn from_str(text: &str) -> Result<Self, UnknownRevision> {
        ALL.into_iter().find(|revision| revision.as_str() == text).ok_or(UnknownRevision)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_are_read_as_they_are_written_and_stand_in_order() {
        for revision in ALL {
            assert_eq!(revision.to_string().parse(), Ok(revision));
        }
        assert!(ALL.is_sorted());
        for text in ["", "2025-11-26", "2025-11-25 ", "v999.0.0", "DRAFT-2026-v1"] {
            assert_eq!(text.parse::<Revision>(), Err(UnknownRevision), "{text}");
        }
    }

    #[test]
    fn initialize_gets_what_it_asked_for_or_the_newest_with_sessions() {
        let cases = [
            ("2024-11-05", Revision::V2024_11_05),
            ("2025-03-26", Revision::V2025_03_26),
            ("2025-06-18", Revision::V2025_06_18),
            ("2025-11-25", Revision::V2025_11_25),
            ("2026-07-28", LATEST_LEGACY),
            ("1.0", LATEST_LEGACY),
        ];
        for (requested, expected) in cases {
            assert_eq!(negotiate(requested), expected, "{requested}");
        }
    }
}
