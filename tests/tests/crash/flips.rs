//! One byte of a log that is not as it was written.

use std::path::{Path, PathBuf};

use futures::{StreamExt, stream};
use tests::Site;
use tests::disk::files;

use crate::workload::{Origin, wants_all};

#[tokio::test]
async fn h153_one_flipped_byte_anywhere_in_the_log_is_found_and_its_entry_named() {
    let site = Site::new(None);
    let (origin, served) = Origin::at(site, "written").await;
    origin.settle().await;
    let in_use = origin.copy();
    assert!(served.stop().await.success());
    for (what, site) in [("stopped", &origin.site), ("as a crash leaves it", &in_use)] {
        let flips = flips(site);
        let (all, step) = (flips.len(), if wants_all("OSTIARY_FLIPS") { 1 } else { STEP });
        let chosen: Vec<Flip> = flips.into_iter().step_by(step).collect();
        let tried = chosen.len();
        let copies: Vec<Site> =
            (0..AT_ONCE).map(|_| site.copy(site.home().parent().unwrap())).collect();
        let shares = copies.iter().enumerate().map(|(number, copy)| {
            let share = chosen.iter().skip(number).step_by(AT_ONCE);
            async move {
                for flip in share {
                    flip.check(copy).await;
                }
            }
        });
        stream::iter(shares).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
        eprintln!("{what}: found {tried} flipped bytes, out of {all}");
    }
}

/// One byte, and the entry that it belongs to, where there is one.
struct Flip {
    /// Below the data folder.
    path: PathBuf,
    at: usize,
    index: Option<u64>,
}

impl Flip {
    async fn check(&self, site: &Site) {
        let path = site.data().join(&self.path);
        let sound = std::fs::read(&path).unwrap();
        let mut bytes = sound.clone();
        bytes[self.at] ^= 1 << (self.at % 8);
        std::fs::write(&path, &bytes).unwrap();
        let (code, said) = site.verify().await;
        let case = format!("{}, byte {}", self.path.display(), self.at);
        assert_eq!(code, Some(8), "{case}: {said}");
        let first = said.lines().find_map(|it| it.strip_prefix("does not hold at index "));
        let named = first.and_then(|it| it.split(':').next()?.parse().ok());
        assert!(self.index.is_none() || named == self.index, "{case}: {:?}: {said}", self.index);
        std::fs::write(&path, &sound).unwrap();
    }
}

/// Every byte of the log.
fn flips(site: &Site) -> Vec<Flip> {
    let data = site.data();
    let mut flips = Vec::new();
    for path in files(&data.join("log")) {
        let bytes = std::fs::read(&path).unwrap();
        let below = path.strip_prefix(&data).unwrap();
        let owners = owners(below, &bytes);
        let flip = |at| Flip { path: below.to_owned(), at, index: owners.get(at).copied() };
        flips.extend((0..bytes.len()).map(flip));
    }
    flips
}

/// The entry that each byte of a tile belongs to; of other files nothing.
fn owners(path: &Path, bytes: &[u8]) -> Vec<u64> {
    let is_below = |folder| path.to_string_lossy().contains(folder);
    let mut owners = Vec::new();
    let (mut rest, mut index) = (bytes, 0);
    while is_below("/tile/entries/") {
        let Some((length, _)) = rest.split_first_chunk::<2>() else { break };
        let whole = 2 + usize::from(u16::from_be_bytes(*length));
        owners.extend(vec![index; whole]);
        (rest, index) = (&rest[whole..], index + 1);
    }
    if is_below("/tile/0/") {
        owners.extend((0..bytes.len()).map(|at| at as u64 / 32));
    }
    owners
}

/// Every so many bytes one is flipped. A prime, so that it meets all parts of what is repeated.
const STEP: usize = 61;
/// Copies of the log, each of which has one flipped byte at a time.
const AT_ONCE: usize = 3;
