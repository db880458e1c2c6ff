//! The parts of the binary that tests reach without starting it.

pub mod listener;
