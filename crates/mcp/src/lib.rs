//! The MCP protocol without sockets: bytes in, bytes out, and but for [`bridge`] nothing remembered in
//! between.
//!
//! The body of a message is read once, strictly, and then only borrowed:
//!
//! 1. [`json`] accepts or refuses bytes; what it accepts means one thing to every parser.
//! 2. [`envelope`] finds the JSON-RPC members in them and keeps ranges, not trees.
//! 3. [`era`] and [`headers`] say which protocol is spoken, and whether headers and body agree.
//! 4. [`methods`] describes what a method names; [`meta`] and [`names`] read and write those names,
//!    [`extensions`] what cannot be named otherwise.
//! 5. [`convert`] carries values from one era to the other, as edits for [`splice`]; [`tasks`] does
//!    the same for tasks.
//! 6. [`bridge`] remembers how far a conversation between the eras has come.
//! 7. [`sse`] and [`stdio`] frame messages on the wire; [`errors`] writes our own answers.
//!
//! [`sealed`] makes the tokens that a client must bring back. Nothing here waits, reads a clock or
//! opens a connection, and nothing here allocates in proportion to what has not been checked yet.

pub mod bridge;
pub mod convert;
pub mod envelope;
pub mod era;
pub mod errors;
pub mod extensions;
pub mod headers;
pub mod json;
pub mod meta;
pub mod methods;
pub mod names;
pub mod revision;
pub mod sealed;
pub mod splice;
pub mod sse;
pub mod stdio;
pub mod tasks;
