//! The strict reader without sockets, for whoever gives it any bytes.

/// Reads the bytes of a connection, which arrive in these pieces: how many may go on, and what the
/// rest is, in words.
pub fn read(pieces: &[&[u8]]) -> (usize, String) {
    let (passed, rest) = super::strict::pieces::take(pieces);
    (passed, format!("{rest:?}"))
}
