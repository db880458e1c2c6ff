//! The key that all others come from, and what is demanded of it.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::{digest, rand};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_PAD_INDIFFERENT};
use rustix::fs::{Mode, OFlags};
use zeroize::Zeroizing;

use crate::Secret;

const KEY_BYTES: usize = 32;
/// A key is 44 characters; a file much longer than that is something else.
const MAX_FILE_BYTES: usize = 4096;
/// 32 random bytes hold 30 different values on average, and fewer than this less often than once
/// in 10^12 keys.
const MIN_DISTINCT_BYTES: usize = 20;
/// So many equal steps from one byte to the next are a counter and no accident: chance makes them
/// less often than once in 10^9 keys.
const MAX_EQUAL_STEPS: usize = 8;

/// Why a master key was refused, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error(
        "the master key is missing: set OSTIARY_MASTER_KEY, or OSTIARY_MASTER_KEY_FILE to a file \
         with it; `openssl rand -base64 32` makes one"
    )]
    Missing,
    #[error("the master key is not base64: use the output of `openssl rand -base64 32`")]
    NotBase64,
    #[error(
        "the master key has {bytes} bytes where 32 are needed: use the output of \
         `openssl rand -base64 32`"
    )]
    Length { bytes: usize },
    #[error(
        "the master key can be guessed, for it is a pattern, a text or a published example: use \
         the output of `openssl rand -base64 32`"
    )]
    Guessable,
    #[error("the key file {} cannot be read: check its path and owner", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{} is no regular file: give the path of a file with the key in it", path.display())]
    NotAFile { path: PathBuf },
    #[error(
        "the key file {} has mode {mode:o}, so others can use it: run `chmod 600 {}`",
        path.display(),
        path.display()
    )]
    Exposed { path: PathBuf, mode: u32 },
    #[error(
        "the key file {} belongs to user {owner}, who is neither this one nor root: run \
         `chown {ours} {}`",
        path.display(),
        path.display()
    )]
    ForeignOwner { path: PathBuf, owner: u32, ours: u32 },
    #[error("the operating system gives no random bytes: repair its random source")]
    NoRandomness,
}

/// 256 bits that nobody can guess, as far as one can tell from looking at them.
pub struct MasterKey(Zeroizing<[u8; KEY_BYTES]>);

impl MasterKey {
    /// From base64 with the standard alphabet (RFC 4648, section 4); padding may be left out and
    /// white space may surround it.
    pub fn from_base64(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(KeyError::Missing);
        }
        let decoded = STANDARD_PAD_INDIFFERENT.decode(text).map_err(|_| KeyError::NotBase64)?;
        let decoded = Zeroizing::new(decoded);
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        if decoded.len() != KEY_BYTES {
            return Err(KeyError::Length { bytes: decoded.len() });
        }
        key.copy_from_slice(&decoded);
        if is_guessable(&key) {
            return Err(KeyError::Guessable);
        }
        Ok(Self(key))
    }

    /// From a file that holds the base64 text. The file, or what a symbolic link to it leads to,
    /// must be a regular file that only its owner can use, and the owner must be us or root.
    pub fn from_file(path: &Path) -> Result<Self, KeyError> {
        let unreadable = |source| KeyError::Unreadable { path: path.to_owned(), source };
        // Without waiting, since a pipe would keep us waiting for its writer.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|error| unreadable(error.into()))?;
        // The open file is asked and not the path, which may lead elsewhere by now.
        let file = File::from(file);
        let facts = file.metadata().map_err(unreadable)?;
        let found = Found { is_file: facts.is_file(), mode: facts.mode(), owner: facts.uid() };
        found.check(path, rustix::process::geteuid().as_raw())?;
        // Large enough from the start: a string that grew would leave copies behind, unwiped.
        let mut text = Zeroizing::new(String::with_capacity(MAX_FILE_BYTES + 1));
        file.take(MAX_FILE_BYTES as u64).read_to_string(&mut text).map_err(unreadable)?;
        Self::from_base64(&text)
    }

    /// A new random key.
    pub fn generate() -> Result<Self, KeyError> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        rand::fill(&mut *key).map_err(|_| KeyError::NoRandomness)?;
        Ok(Self(key))
    }

    /// The text that [`from_base64`](Self::from_base64) takes.
    pub fn to_base64(&self) -> Secret {
        STANDARD.encode(*self.0).into()
    }

    pub(crate) fn expose(&self) -> &[u8] {
        &*self.0
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// What an open key file says of itself.
struct Found {
    is_file: bool,
    mode: u32,
    owner: u32,
}

impl Found {
    fn check(&self, path: &Path, ours: u32) -> Result<(), KeyError> {
        let path = || path.to_owned();
        let mode = self.mode & 0o7777;
        if !self.is_file {
            return Err(KeyError::NotAFile { path: path() });
        }
        if self.owner != ours && self.owner != 0 {
            return Err(KeyError::ForeignOwner { path: path(), owner: self.owner, ours });
        }
        if mode & 0o077 != 0 {
            return Err(KeyError::Exposed { path: path(), mode });
        }
        Ok(())
    }
}

/// Whether the key is one that people, rather than dice, come up with.
fn is_guessable(key: &[u8; KEY_BYTES]) -> bool {
    let mut seen = [false; 256];
    let mut steps = [0_usize; 256];
    for byte in key {
        seen[usize::from(*byte)] = true;
    }
    for pair in key.windows(2) {
        steps[usize::from(pair[1].wrapping_sub(pair[0]))] += 1;
    }
    // Few values: one byte, a pattern that repeats, a number in a field of zeroes.
    let is_monotonous = seen.iter().filter(|seen| **seen).count() < MIN_DISTINCT_BYTES;
    // Equal steps: a counter, upwards or downwards.
    let is_counted = steps.iter().any(|count| *count >= MAX_EQUAL_STEPS);
    // A pass phrase, or hexadecimal digits that were taken for the key.
    let is_text = key.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n'));
    is_monotonous || is_counted || is_text || is_published(key)
}

fn is_published(key: &[u8; KEY_BYTES]) -> bool {
    /// NIST SP 800-38A, appendix F (AES-256); RFC 8032, section 7.1 (tests 1 to 3); RFC 7748,
    /// section 6.1 (both sides).
    const VECTORS: [&str; 6] = [
        "YD3rEBXKcb4rc67whX13gR81LAc7YQjXLZgQowkU3/Q=",
        "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=",
        "TM0Imyj/ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U+4pvs=",
        "xaqN9D+fg3vtt0QvMdy3sWbThTUHbwlLhc46LgtEWPc=",
        "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=",
        "XasIfmJKikt54X+Lg4AO5m87sSkmGLb9HC+LJ/+I4Os=",
    ];
    const WORDS: [&str; 16] = [
        "",
        "0",
        "123456",
        "admin",
        "change me",
        "changeit",
        "changeme",
        "default",
        "key",
        "master",
        "masterkey",
        "ostiary",
        "password",
        "secret",
        "test",
        "example",
    ];
    let is_vector =
        VECTORS.iter().any(|text| STANDARD.decode(text).is_ok_and(|vector| vector == key));
    let is_digest = |word: &&str| digest::digest(&digest::SHA256, word.as_bytes()).as_ref() == key;
    is_vector || WORDS.iter().any(is_digest)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn h181_a_key_that_is_missing_malformed_or_guessable_is_refused() {
        let counter = |start: u8, step: u8| -> Vec<u8> {
            (0..32).map(|index: u8| start.wrapping_add(index.wrapping_mul(step))).collect()
        };
        let base64 = |bytes: &[u8]| STANDARD.encode(bytes);
        let sha256 = |text: &str| digest::digest(&digest::SHA256, text.as_bytes());
        let cases = [
            ("", "missing"),
            (" \n", "missing"),
            ("not base64!", "not base64"),
            ("c2hvcnQ=", "has 5 bytes"),
            (&base64(&[7; 31]), "has 31 bytes"),
            (&base64(&[7; 33]), "has 33 bytes"),
            (&base64(&[0; 32]), "guessed"),
            (&base64(&[0xa5; 32]), "guessed"),
            (&base64(&counter(0, 1)), "guessed"),
            (&base64(&counter(250, 1)), "guessed"),
            (&base64(&counter(31, 255)), "guessed"),
            (&base64(&counter(9, 7)), "guessed"),
            (&base64(&[[1, 200, 3, 77, 250, 9, 130, 66]; 4].concat()), "guessed"),
            (&base64(&[counter(3, 5), counter(3, 5)].concat()[16..48]), "guessed"),
            (&base64(b"correct horse battery staple, eh"), "guessed"),
            (&base64(b"0123456789abcdef0123456789abcdef"), "guessed"),
            (&base64(b"9f3Kq!x7Zp@1Lm#8Vw$2Rb%6Tn^4Yc&5"), "guessed"),
            (&base64(sha256("password").as_ref()), "guessed"),
            (&base64(sha256("").as_ref()), "guessed"),
            ("YD3rEBXKcb4rc67whX13gR81LAc7YQjXLZgQowkU3/Q=", "guessed"),
        ];
        for (text, why) in cases {
            let error = MasterKey::from_base64(text).expect_err(text).to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn padding_and_surrounding_white_space_do_not_matter() {
        let text = key_text();
        let bare = text.trim_end_matches('=');
        for text in [text.clone(), bare.to_owned(), format!(" {text}\r\n")] {
            assert_eq!(MasterKey::from_base64(&text).unwrap().expose(), key().expose());
        }
    }

    #[test]
    fn h181_a_key_file_that_others_can_use_is_refused() {
        let folder = TempDir::new().unwrap();
        for mode in [0o600, 0o400, 0o700] {
            let key = MasterKey::from_file(&key_file(&folder, mode));
            assert!(key.is_ok(), "{mode:o}");
        }
        for mode in [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o777] {
            let error = MasterKey::from_file(&key_file(&folder, mode)).unwrap_err();
            assert!(matches!(error, KeyError::Exposed { .. }), "{mode:o}: {error}");
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn h181_a_key_file_must_be_a_file_of_ours_or_of_root() {
        let path = Path::new("key");
        let cases =
            [(1000, true, true), (0, true, true), (1001, true, false), (1000, false, false)];
        for (owner, is_file, is_fine) in cases {
            let outcome = Found { is_file, mode: 0o100_600, owner }.check(path, 1000);
            assert_eq!(outcome.is_ok(), is_fine, "{owner} {is_file}");
        }
    }

    #[test]
    fn a_link_counts_as_what_it_leads_to() {
        let folder = TempDir::new().unwrap();
        let link = folder.path().join("link");
        symlink(key_file(&folder, 0o600), &link).unwrap();
        assert!(MasterKey::from_file(&link).is_ok());
        for target in [folder.path(), Path::new("/dev/zero")] {
            fs::remove_file(&link).unwrap();
            symlink(target, &link).unwrap();
            let error = MasterKey::from_file(&link).unwrap_err();
            assert!(matches!(error, KeyError::NotAFile { .. }), "{error}");
        }
        let error = MasterKey::from_file(&folder.path().join("none")).unwrap_err();
        assert!(matches!(error, KeyError::Unreadable { .. }), "{error}");
    }

    #[test]
    fn generated_keys_differ_and_are_accepted() {
        for _ in 0..100 {
            let key = MasterKey::generate().unwrap();
            let text = key.to_base64();
            let again = MasterKey::from_base64(text.expose_text().unwrap()).unwrap();
            assert_eq!(key.expose(), again.expose());
            assert_ne!(key.expose(), MasterKey::generate().unwrap().expose());
        }
        assert_eq!(format!("{:?}", key()), "[secret]");
    }

    proptest! {
        #[test]
        fn foreign_text_never_panics(text in "\\PC{0,60}|[A-Za-z0-9+/=]{40,48}") {
            let _outcome = MasterKey::from_base64(&text);
        }
    }

    fn key() -> MasterKey {
        MasterKey::from_base64(&key_text()).unwrap()
    }

    fn key_text() -> String {
        let text = "an accepted key that is no dice's work, but looks like it";
        STANDARD.encode(digest::digest(&digest::SHA256, text.as_bytes()))
    }

    fn key_file(folder: &TempDir, mode: u32) -> PathBuf {
        let path = folder.path().join(format!("{mode:o}"));
        fs::write(&path, format!("{}\n", key_text())).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }
}
