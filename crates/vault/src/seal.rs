//! Sealing and opening.
//!
//! A sealed value is, in this order: the format (one byte, 1), the version of the master key
//! (four bytes, big-endian), the IV (12 bytes), the ciphertext and the tag (16 bytes).

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk, Salt};
use zeroize::Zeroizing;

use crate::{MasterKey, Secret};

const FORMAT: u8 = 1;
const HEADER_BYTES: usize = 1 + 4;
/// Keeps our derived keys apart from those of any other program with the same master key.
const SALT: &[u8] = b"ostiary vault";

/// Where a value belongs. What has been sealed for one place opens at no other, so a row that is
/// copied over another gives nothing away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    pub workspace: [u8; 16],
    /// The kind of record, such as `identity`.
    pub kind: &'a str,
    pub record: [u8; 16],
    /// The field of the record, such as `headers`.
    pub field: &'a str,
}

/// A sealed value, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

/// Why the vault did not do it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// One answer for a wrong place, a wrong key and damage, so that it tells an attacker
    /// nothing.
    #[error("the value cannot be opened")]
    Unopenable,
    #[error("the value cannot be sealed")]
    Unsealable,
    #[error(
        "the master key is not the one that this data was sealed with: give the key of the first \
         start, or restore the data that belongs to this key"
    )]
    OtherKey,
}

/// Seals with one master key, and opens with that and with those before it.
pub struct Vault {
    current: Keys,
    previous: Vec<Keys>,
}

/// What is derived from one master key.
struct Keys {
    version: u32,
    root: Prk,
    values: RandomizedNonceKey,
    check: [u8; 32],
}

impl Vault {
    /// `version` tells master keys apart; it is stored with each value.
    pub fn new(master: MasterKey, version: u32) -> Self {
        Self { current: Keys::derive(&master, version), previous: Vec::new() }
    }

    /// Opens what was sealed with an earlier master key as well. The newer key is meant where
    /// two have the same version.
    #[must_use]
    pub fn with_previous(mut self, master: MasterKey, version: u32) -> Self {
        self.previous.push(Keys::derive(&master, version));
        self
    }

    /// Seals `plain` for `place`, with the current key.
    pub fn seal(&self, place: Place<'_>, plain: &[u8]) -> Result<Sealed, VaultError> {
        let Keys { version, values, .. } = &self.current;
        let mut buffer = Zeroizing::new(Vec::with_capacity(plain.len() + AES_256_GCM.tag_len()));
        buffer.extend_from_slice(plain);
        let nonce = values
            .seal_in_place_append_tag(Aad::from(associated(place, *version)), &mut *buffer)
            .map_err(|_| VaultError::Unsealable)?;
        let header = [&[FORMAT][..], &version.to_be_bytes(), nonce.as_ref()].concat();
        Ok(Sealed([&header[..], &buffer[..]].concat()))
    }

    /// Opens what [`seal`](Self::seal) sealed for the same place.
    pub fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Secret, VaultError> {
        let (version, rest) = split(sealed).ok_or(VaultError::Unopenable)?;
        let (nonce, body) = rest.split_at_checked(NONCE_LEN).ok_or(VaultError::Unopenable)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| VaultError::Unopenable)?;
        let keys = self.keys(version).ok_or(VaultError::Unopenable)?;
        let mut buffer = Zeroizing::new(body.to_vec());
        let plain_len = keys
            .values
            .open_in_place(nonce, Aad::from(associated(place, version)), &mut buffer)
            .map_err(|_| VaultError::Unopenable)?
            .len();
        buffer.truncate(plain_len);
        Ok(buffer.into())
    }

    /// Whether the value is sealed with the current key. Where it is not, rotation has it to do.
    pub fn is_current(&self, sealed: &[u8]) -> bool {
        split(sealed).is_some_and(|(version, _)| version == self.current.version)
    }

    /// What to store at the first start, so that a later start notices another master key. It
    /// tells nothing about the key.
    pub fn check_value(&self) -> Vec<u8> {
        let Keys { version, check, .. } = &self.current;
        [&[FORMAT][..], &version.to_be_bytes(), check].concat()
    }

    /// Whether `stored` is the check value of the current master key, or of one before it.
    pub fn verify_check(&self, stored: &[u8]) -> Result<(), VaultError> {
        let (version, check) = split(stored).ok_or(VaultError::OtherKey)?;
        let keys = self.keys(version).ok_or(VaultError::OtherKey)?;
        verify_slices_are_equal(&keys.check, check).map_err(|_| VaultError::OtherKey)
    }

    /// A key of its own for another use, the same at each start. It changes with the master key,
    /// so what must outlive a rotation is made once and sealed instead.
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        *expand(&self.current.root, &[b"purpose ", purpose.as_bytes()])
    }

    fn keys(&self, version: u32) -> Option<&Keys> {
        std::iter::once(&self.current).chain(&self.previous).find(|keys| keys.version == version)
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("version", &self.current.version).finish_non_exhaustive()
    }
}

impl Keys {
    fn derive(master: &MasterKey, version: u32) -> Self {
        let root = Salt::new(HKDF_SHA256, SALT).extract(master.expose());
        let values = expand(&root, &[b"values"]);
        let values = RandomizedNonceKey::new(&AES_256_GCM, &*values)
            .expect("a key of 32 bytes is what AES-256 takes");
        let check = *expand(&root, &[b"check"]);
        Self { version, root, values, check }
    }
}

impl Sealed {
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

fn expand(root: &Prk, info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    root.expand(info, HKDF_SHA256)
        .and_then(|expanded| expanded.fill(&mut *key))
        .expect("HKDF-SHA-256 gives 32 bytes");
    key
}

/// Version and rest, where the format is ours.
fn split(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    let [FORMAT, version @ ..] = *header else { return None };
    Some((u32::from_be_bytes(version), rest))
}

/// The place and the version, each part with its length before it: no two places give the same
/// bytes.
fn associated(place: Place<'_>, version: u32) -> Vec<u8> {
    let version = version.to_be_bytes();
    let parts: [&[u8]; 6] = [
        &[FORMAT],
        &place.workspace,
        place.kind.as_bytes(),
        &place.record,
        place.field.as_bytes(),
        &version,
    ];
    let mut joined = Vec::new();
    for part in parts {
        joined.extend_from_slice(&(part.len() as u64).to_be_bytes());
        joined.extend_from_slice(part);
    }
    joined
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use aws_lc_rs::digest;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    const PLACE: Place<'_> =
        Place { workspace: [1; 16], kind: "identity", record: [2; 16], field: "headers" };

    #[test]
    fn two_seals_of_one_value_have_nothing_in_common() {
        let vault = vault("a", 1);
        let sealed = (0..100).map(|_| vault.seal(PLACE, b"hunter2").unwrap().into_bytes());
        let sealed: BTreeSet<_> = sealed.map(|bytes| bytes[HEADER_BYTES..].to_vec()).collect();
        assert_eq!(sealed.len(), 100);
        let ivs: BTreeSet<_> = sealed.iter().map(|bytes| &bytes[..NONCE_LEN]).collect();
        assert_eq!(ivs.len(), 100);
    }

    #[test]
    fn a_value_opens_at_its_own_place_only() {
        let vault = vault("a", 1);
        let sealed = vault.seal(PLACE, b"hunter2").unwrap();
        let elsewhere = [
            Place { workspace: [9; 16], ..PLACE },
            Place { kind: "server", ..PLACE },
            Place { record: [9; 16], ..PLACE },
            Place { field: "header", ..PLACE },
            Place { kind: "identityheaders", field: "", ..PLACE },
        ];
        for place in elsewhere {
            let opened = vault.open(place, sealed.as_bytes());
            assert_eq!(opened.unwrap_err(), VaultError::Unopenable, "{place:?}");
        }
        assert_eq!(vault.open(PLACE, sealed.as_bytes()).unwrap().expose(), b"hunter2");
    }

    #[test]
    fn any_flipped_bit_and_any_other_length_is_refused() {
        let vault = vault("a", 1).with_previous(key("b"), 0);
        let sealed = vault.seal(PLACE, b"hunter2").unwrap().into_bytes();
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let opened = vault.open(PLACE, &damaged);
            assert_eq!(opened.unwrap_err(), VaultError::Unopenable, "bit {bit}");
        }
        for length in 0..sealed.len() {
            let opened = vault.open(PLACE, &sealed[..length]);
            assert_eq!(opened.unwrap_err(), VaultError::Unopenable, "{length} bytes");
        }
        assert!(vault.open(PLACE, &[&sealed[..], b"x"].concat()).is_err());
    }

    #[test]
    fn a_vault_opens_what_earlier_keys_sealed_and_seals_with_its_own() {
        let old = vault("a", 1);
        let sealed = old.seal(PLACE, b"hunter2").unwrap();
        let new = vault("b", 2).with_previous(key("a"), 1);
        assert_eq!(new.open(PLACE, sealed.as_bytes()).unwrap().expose(), b"hunter2");
        assert!(!new.is_current(sealed.as_bytes()));
        let resealed = new.seal(PLACE, b"hunter2").unwrap();
        assert!(new.is_current(resealed.as_bytes()));
        assert_eq!(old.open(PLACE, resealed.as_bytes()).unwrap_err(), VaultError::Unopenable);
        let other = vault("b", 1);
        assert_eq!(other.open(PLACE, sealed.as_bytes()).unwrap_err(), VaultError::Unopenable);
    }

    #[test]
    fn another_master_key_is_noticed() {
        let stored = vault("a", 1).check_value();
        assert_eq!(vault("a", 1).verify_check(&stored), Ok(()));
        assert_eq!(vault("b", 2).with_previous(key("a"), 1).verify_check(&stored), Ok(()));
        for vault in [vault("b", 1), vault("a", 2), vault("b", 2).with_previous(key("c"), 1)] {
            assert_eq!(vault.verify_check(&stored), Err(VaultError::OtherKey), "{vault:?}");
        }
        for stored in [&b""[..], &stored[..5], &stored[..36]] {
            assert_eq!(vault("a", 1).verify_check(stored), Err(VaultError::OtherKey));
        }
    }

    #[test]
    fn derived_keys_are_stable_and_apart() {
        let vault = vault("a", 1);
        assert_eq!(vault.derive("audit"), self::vault("a", 7).derive("audit"));
        let mut all = BTreeSet::from([vault.derive("audit"), vault.derive("sessions")]);
        all.extend([vault.derive(""), vault.derive("values"), vault.derive("check")]);
        all.extend([self::vault("b", 1).derive("audit"), vault.current.check]);
        all.insert(key("a").expose().try_into().unwrap());
        assert_eq!(all.len(), 8);
    }

    /// Made with another implementation of HKDF and AES-GCM, so that data stays readable when
    /// this one changes.
    #[test]
    fn the_format_stays_as_it_is() {
        let sealed = STANDARD.decode(KNOWN_SEALED).unwrap();
        assert_eq!(vault("a", 3).open(PLACE, &sealed).unwrap().expose(), b"hunter2");
        assert_eq!(STANDARD.encode(vault("a", 3).derive("audit")), KNOWN_DERIVED);
        assert_eq!(STANDARD.encode(vault("a", 3).check_value()), KNOWN_CHECK);
    }

    const KNOWN_SEALED: &str = "AQAAAANkZWZnaGlqa2xtbm+qV8wcyWQrASj4z3Rafygv4Gp9vpaP/w==";
    const KNOWN_DERIVED: &str = "HZQYfB+2o39iBP0UJ8TF/2PU0GSA2avGrzblFTIbTsg=";
    const KNOWN_CHECK: &str = "AQAAAANx9BGTCdCywxaksAGF1RAx5mbIuTH2IVHK+ilsZYOoYA==";

    proptest! {
        #[test]
        fn whatever_is_sealed_opens(
            plain in prop::collection::vec(any::<u8>(), 0..300),
            workspace: [u8; 16],
            record: [u8; 16],
            kind in "\\PC{0,9}",
            field in "\\PC{0,9}",
        ) {
            let place = Place { workspace, kind: &kind, record, field: &field };
            let vault = vault("a", 1);
            let sealed = vault.seal(place, &plain).unwrap();
            let opened = vault.open(place, sealed.as_bytes()).unwrap();
            prop_assert_eq!(opened.expose(), plain);
        }

        #[test]
        fn places_that_differ_are_sealed_differently(
            a in ("[ab]{0,3}", "[ab]{0,3}"),
            b in ("[ab]{0,3}", "[ab]{0,3}"),
        ) {
            let of = |(kind, field): &(String, String)| {
                associated(Place { kind, field, ..PLACE }, 1)
            };
            prop_assert_eq!(a == b, of(&a) == of(&b));
        }

        #[test]
        fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let vault = vault("a", 1);
            prop_assert!(vault.open(PLACE, &bytes).is_err());
            prop_assert!(vault.open(PLACE, &[&[1, 0, 0, 0, 1], &bytes[..]].concat()).is_err());
        }
    }

    fn vault(seed: &str, version: u32) -> Vault {
        Vault::new(key(seed), version)
    }

    fn key(seed: &str) -> MasterKey {
        let bytes = digest::digest(&digest::SHA256, seed.as_bytes());
        MasterKey::from_base64(&STANDARD.encode(bytes)).unwrap()
    }
}
