//! The parts of the binary that tests reach without starting it.

pub mod config_file;
pub mod listener;
pub mod peers;
