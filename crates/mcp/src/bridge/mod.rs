//! Conversations that the two eras hold in different ways.
//!
//! A legacy server asks its client by requests of its own while a call runs; a modern one ends the
//! call with what it wants to know, and is called again with the answers. What stands between them
//! remembers how far a conversation has come. That memory is here, without sockets and without a
//! clock: messages and times go in, and what is to be said next comes out.
//!
//! For modern clients of legacy servers, [`askable`] says what they can be asked, [`parked`] where a call
//! stands that its server holds meanwhile, and [`state`] by what the client finds it again.

mod abilities;
pub mod askable;
pub mod parked;
mod question;
mod rounds;
pub mod state;

pub use abilities::{Abilities, missing_capabilities, to_modern_capabilities, with_tasks};
pub use question::{Kind, Question};
pub use rounds::{Due, Round, RoundLimits, Rounds, RoundsError, is_asking, without_round};

#[cfg(test)]
mod tests;
