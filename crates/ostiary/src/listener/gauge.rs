//! What the listener can tell of itself.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Counts of one listener, readable from anywhere.
#[derive(Debug, Default)]
pub struct Gauge {
    pub(super) connections: AtomicUsize,
    pub(super) is_starved: AtomicBool,
}

impl Gauge {
    /// Connections open now.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Whether the last attempt to accept failed for want of descriptors or memory.
    pub fn is_starved(&self) -> bool {
        self.is_starved.load(Ordering::Relaxed)
    }
}
