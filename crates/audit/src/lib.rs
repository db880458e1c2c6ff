//! The tamper-evident log: append, tile, prove, verify.
//!
//! A record goes this way, and each step has a file:
//!
//! 1. [`Log::append`] puts it into a queue (`queue`), in a batch that its future waits for (`batch`);
//!    [`Log::write`] passes over the queue while the disk is quick (`pace`).
//! 2. The writer writes batches to the segment (`writer`). Now it is *written*.
//! 3. The syncer brings segments to the disk (`syncer`); now it is *synced*.
//! 4. The sequencer puts it into the Merkle tree of its workspace (`sequencer`, `tree`, `merkle`),
//!    as C2SP tiles (`tile`) under a signed checkpoint (`note`). From then on it can be proved
//!    (`proof`).
//!
//! What holds:
//!
//! - A future that resolved with a receipt stands for a record that every later start finds.
//! - A record is in its tree exactly once, in order of its sequence, whatever crashes.
//! - No two signed checkpoints of a log contradict each other.
//! - No append waits longer than its deadline, whatever the disk does (`watchdog`), but for the one
//!   caller that is writing when the disk stops ([`Options::callers_write`]).

mod batch;
mod clock;
mod content;
mod entry;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod leaf;
mod log;
mod merkle;
mod note;
mod pace;
mod proof;
mod queue;
mod replay;
mod segment;
mod sequencer;
mod syncer;
mod tail;
mod tile;
mod tree;
mod verify;
mod watchdog;
mod writer;

pub use batch::{Append, Durability, LogError, Receipt};
pub use clock::Clock;
pub use content::{
    ContentDigest, ContentDurable, ContentError, ContentOptions, ContentRef, ContentStore, DataKey,
    DataKeys, KeyUnavailable, digest,
};
pub use entry::{Entry, Kind, MAX_LEAF, Record};
pub use leaf::{Leaf, MAX_VALUE};
pub use log::{Condition, Health, Log, OpenError, Options, Recovery};
pub use merkle::{
    EMPTY_ROOT, Hash, Unproven, leaf_hash, node_hash, root_of, verify_consistency, verify_inclusion,
};
pub use note::{Checkpoint, NoteError, Signer, VerifierKey};
pub use proof::{Proof, ProofError, ProveError, Proven, verify_proof};
pub use tail::{Live, Subscription, TailEntry};
pub use tile::{Source, TreeError};
pub use verify::{Check, ContentReport, Problem, Report, WorkspaceReport, verify, verify_dir};
