//! Secrets at rest.
//!
//! A [`Vault`] seals a value for one [`Place`] and opens it for no other: AES-256-GCM with a
//! fresh random IV for each value, the place and the key's version as associated data. The
//! master key itself encrypts nothing; every use has a key of its own, derived by HKDF-SHA-256
//! (RFC 5869).
//!
//! A [`MasterKey`] that could be guessed, or that others can read, does not come into being, so
//! a vault has a good key or is not there at all. What a vault gives back is a [`Secret`], which
//! prints as `[secret]` and is wiped when dropped.

mod master;
mod seal;
mod secret;

pub use master::{KeyError, MasterKey};
pub use seal::{Place, Sealed, Vault, VaultError};
pub use secret::Secret;
