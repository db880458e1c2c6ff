//! What a home page shows, in one answer: who serves, what waits for somebody, what is off, what is
//! called, and whether the record is covered.
//!
//! Each part is for those who may see what it counts, and absent for others.

mod api;
#[cfg(test)]
mod tests;

pub(crate) use api::routes;
