//! One SQL text, two databases.
//!
//! Everything above this crate writes plain SQL once, with `$1` placeholders, and never learns
//! which database answers. Everything that does differ between SQLite and PostgreSQL is here.
//!
//! What holds on both: text sorts by its bytes, times are whole microseconds, foreign keys are
//! enforced, and a [`Tx`] from [`Db::begin`] that has touched the epoch row is the only writer
//! until it ends.

mod epoch;
mod error;
mod newer;
mod notices;
mod open;
mod statement;
#[cfg(feature = "testing")]
pub mod testing;
mod transaction;

pub use epoch::Epochs;
pub use error::DbError;
pub use notices::Notices;
pub use open::{Db, OpenError};
pub use statement::{Sql, Value, sql};
pub use transaction::{Record, Tx};
