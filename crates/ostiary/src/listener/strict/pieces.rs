//! A connection whose bytes arrive in pieces, without the connection.

use super::framing::{Framing, Rest};
use super::head::Bounds;

const BOUNDS: Bounds = Bounds { lines: 100, head_bytes: 64 << 10, line_bytes: 32 << 10 };

/// Gives pieces to a framing as the stream does: the beginning of a head comes again. How many bytes
/// pass, and what the rest is.
pub(in crate::listener) fn take(pieces: &[&[u8]]) -> (usize, Rest) {
    let mut framing = Framing::new(BOUNDS);
    let (mut total, mut held, mut rest) = (0, Vec::new(), Rest::Nothing);
    for piece in pieces {
        held.extend_from_slice(piece);
        let taken = framing.take(&mut held);
        held.drain(..taken.passed);
        total += taken.passed;
        rest = if held.is_empty() { Rest::Nothing } else { taken.rest };
        if matches!(rest, Rest::Refused(..) | Rest::Unread) {
            break;
        }
    }
    (total, rest)
}
