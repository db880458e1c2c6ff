//! The files of a tree (c2sp.org/tlog-tiles): their names, their widths and how hashes and entries
//! are read from them. Pure, but for the [`Source`] it is handed.

use std::collections::HashMap;
use std::io;

use crate::merkle::{self, Hash, Span};

/// Gives the files of one log, by their path below it, such as `tile/0/x001/234.p/12`.
pub trait Source {
    /// The whole file, or `None` when there is none.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>>;
}

/// What a tile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Layer {
    /// The entries themselves.
    Entries,
    /// Hashes; level 0 holds those of the entries.
    Level(u32),
}

/// A tile of a tree of some size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Tile {
    pub(crate) layer: Layer,
    /// Its number within the layer.
    pub(crate) number: u64,
    /// How many it holds: 1 to 256.
    pub(crate) width: usize,
}

/// Why the tree could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// The file system failed.
    #[error("could not read `{path}`")]
    Unreadable {
        /// Below the log.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file that must be there is not, or is not of its form.
    #[error("`{path}` is missing or damaged")]
    Damaged {
        /// Below the log.
        path: String,
    },
}

impl Layer {
    /// Each item of the layer stands for this many entries, as a power of two.
    fn shift(self) -> u32 {
        match self {
            Self::Entries => 0,
            Self::Level(level) => HEIGHT * level,
        }
    }

    /// How many items the layer has in a tree of `size`.
    pub(crate) fn items(self, size: u64) -> u64 {
        size.checked_shr(self.shift()).unwrap_or(0)
    }
}

impl Tile {
    /// The tile as it is in a tree of `size`. `None` when the tree does not reach it.
    pub(crate) fn of(layer: Layer, number: u64, size: u64) -> Option<Self> {
        let items = layer.items(size).checked_sub(number.checked_mul(FULL as u64)?)?;
        let width = usize::try_from(items).unwrap_or(FULL).min(FULL);
        (width > 0).then_some(Self { layer, number, width })
    }

    /// The tile when nothing is missing from it.
    pub(crate) fn full(self) -> Self {
        Self { width: FULL, ..self }
    }

    pub(crate) fn is_full(self) -> bool {
        self.width == FULL
    }

    /// Where it stands below the log.
    pub(crate) fn path(self) -> String {
        let full = self.full_path();
        if self.is_full() { full } else { format!("{full}.p/{}", self.width) }
    }

    /// The folder of its narrower versions.
    pub(crate) fn partial_folder(self) -> String {
        format!("{}.p", self.full_path())
    }

    /// The index of the first entry below item `item`.
    pub(crate) fn first_entry(self, item: usize) -> u64 {
        (self.number * FULL as u64 + item as u64) << self.layer.shift()
    }

    /// Reads the path of a tile. `None` when it is not the only right spelling of one.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let rest = path.strip_prefix("tile/")?;
        let (layer, rest) = rest.split_once('/')?;
        let layer = match layer {
            "entries" => Layer::Entries,
            level => Layer::Level(level.parse().ok().filter(|level| *level < 8)?),
        };
        let (digits, width) = match rest.rsplit_once(".p/") {
            Some((digits, width)) => {
                (digits, width.parse().ok().filter(|w| (1..FULL).contains(w))?)
            }
            None => (rest, FULL),
        };
        let number = digits.split('/').try_fold(0u64, |number, part| {
            let digits = part.strip_prefix('x').unwrap_or(part);
            number.checked_mul(1000)?.checked_add(digits.parse().ok()?)
        })?;
        let tile = Self { layer, number, width };
        (tile.path() == path).then_some(tile)
    }

    fn full_path(self) -> String {
        let layer = match self.layer {
            Layer::Entries => "entries".to_owned(),
            Layer::Level(level) => level.to_string(),
        };
        let mut digits = format!("{:03}", self.number % 1000);
        let mut above = self.number / 1000;
        while above > 0 {
            digits = format!("x{:03}/{digits}", above % 1000);
            above /= 1000;
        }
        format!("tile/{layer}/{digits}")
    }
}

/// Reads a tile: from the file of this width, or from the full one that has replaced it.
pub(crate) fn read(source: &dyn Source, tile: Tile) -> Result<Vec<u8>, TreeError> {
    // The full one comes before the other goes, so the third look finds what the first two missed.
    for path in [tile.path(), tile.full().path(), tile.path()] {
        match source.read(&path) {
            Ok(Some(bytes)) => {
                return cut(tile, bytes).ok_or(TreeError::Damaged { path });
            }
            Ok(None) => {}
            Err(source) => return Err(TreeError::Unreadable { path, source }),
        }
    }
    Err(TreeError::Damaged { path: tile.path() })
}

/// Reads a tile of hashes.
pub(crate) fn read_hashes(source: &dyn Source, tile: Tile) -> Result<Vec<Hash>, TreeError> {
    let bytes = read(source, tile)?;
    Ok(bytes.as_chunks::<32>().0.to_vec())
}

/// The entries of a bundle, or `None` where it is not of the form.
pub(crate) fn entries(bundle: &[u8]) -> Option<Vec<&[u8]>> {
    let mut entries = Vec::with_capacity(FULL);
    let mut rest = bundle;
    while !rest.is_empty() {
        let (len, tail) = rest.split_first_chunk::<2>()?;
        let (entry, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        entries.push(entry);
        rest = tail;
    }
    Some(entries)
}

/// Hashes of subtrees, from the tiles of a tree of some size.
pub(crate) struct HashReader<'a> {
    source: &'a dyn Source,
    size: u64,
    tiles: HashMap<Tile, Vec<Hash>>,
}

impl<'a> HashReader<'a> {
    pub(crate) fn new(source: &'a dyn Source, size: u64) -> Self {
        Self { source, size, tiles: HashMap::new() }
    }

    /// The hash of each span.
    pub(crate) fn spans(&mut self, spans: &[Span]) -> Result<Vec<Hash>, TreeError> {
        spans.iter().map(|span| self.span(*span)).collect()
    }

    fn span(&mut self, span: Span) -> Result<Hash, TreeError> {
        let subtrees: Result<Vec<Hash>, TreeError> =
            merkle::subtrees(span).into_iter().map(|at| self.subtree(at)).collect();
        Ok(merkle::join(&subtrees?))
    }

    fn subtree(&mut self, (height, number): (u32, u64)) -> Result<Hash, TreeError> {
        let layer = Layer::Level(height / HEIGHT);
        let first = number << (height % HEIGHT);
        let at = first / FULL as u64;
        let tile = Tile::of(layer, at, self.size)
            .ok_or_else(|| TreeError::Damaged { path: format!("subtree {height}/{number}") })?;
        if !self.tiles.contains_key(&tile) {
            let hashes = read_hashes(self.source, tile)?;
            self.tiles.insert(tile, hashes);
        }
        let start = usize::try_from(first % FULL as u64).expect("below 256");
        self.tiles
            .get(&tile)
            .and_then(|hashes| hashes.get(start..start + (1 << (height % HEIGHT))))
            .map(merkle::root_of)
            .ok_or_else(|| TreeError::Damaged { path: tile.path() })
    }
}

/// The first items of a tile that may be wider than asked for.
fn cut(tile: Tile, mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    let len = match tile.layer {
        Layer::Level(_) => tile.width * 32,
        Layer::Entries => {
            let entries = entries(&bytes)?;
            entries.get(..tile.width)?.iter().map(|entry| entry.len() + 2).sum()
        }
    };
    if bytes.len() < len {
        return None;
    }
    bytes.truncate(len);
    Some(bytes)
}

/// Items of a full tile.
pub(crate) const FULL: usize = 256;
/// Levels of the tree that one level of tiles spans.
pub(crate) const HEIGHT: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        let cases = [
            (Layer::Level(0), 0, 256, "tile/0/000"),
            (Layer::Level(1), 1_234_067, 256, "tile/1/x001/x234/067"),
            (Layer::Entries, 999, 12, "tile/entries/999.p/12"),
            (Layer::Entries, 1_000, 255, "tile/entries/x001/000.p/255"),
            (Layer::Level(7), u64::MAX / 256, 1, "tile/7/x072/x057/x594/x037/x927/935.p/1"),
        ];
        for (layer, number, width, path) in cases {
            let tile = Tile { layer, number, width };
            assert_eq!(tile.path(), path);
            assert_eq!(Tile::parse(path), Some(tile), "{path}");
        }
        for path in [
            "tile/0/00",
            "tile/0/x000/001",
            "tile/00/001",
            "tile/0/001.p/0",
            "tile/0/001.p/256",
            "tile/0/001.p/01",
            "tile/8/001",
            "tile/0/x001/x002",
            "tile/0/+01",
            "tile/entries/",
            "checkpoint",
        ] {
            assert_eq!(Tile::parse(path), None, "{path}");
        }
    }

    #[test]
    fn widths_are_those_of_the_specification() {
        // The example of the specification: a tree of 70 000.
        let width = |layer, number| Tile::of(layer, number, 70_000).map(|tile| tile.width);
        assert_eq!(width(Layer::Level(0), 272), Some(256));
        assert_eq!(width(Layer::Level(0), 273), Some(112));
        assert_eq!(width(Layer::Level(0), 274), None);
        assert_eq!(width(Layer::Level(1), 0), Some(256));
        assert_eq!(width(Layer::Level(1), 1), Some(17));
        assert_eq!(width(Layer::Level(2), 0), Some(1));
        assert_eq!(width(Layer::Level(2), 1), None);
        assert_eq!(width(Layer::Level(3), 0), None);
        assert_eq!(Tile::of(Layer::Level(0), 0, 0), None);
        assert_eq!(Tile::of(Layer::Level(0), u64::MAX, u64::MAX), None);
    }

    #[test]
    fn bundles_that_do_not_add_up_are_not_read() {
        assert_eq!(entries(b"\0\x01a\0\0\0\x02bc"), Some(vec![&b"a"[..], b"", b"bc"]));
        assert_eq!(entries(b""), Some(vec![]));
        for bad in [&b"\0"[..], b"\0\x01", b"\0\x01a\0\x02b", b"\xff\xff"] {
            assert_eq!(entries(bad), None, "{bad:?}");
        }
    }
}
