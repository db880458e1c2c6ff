//! A chunked body, byte by byte, without I/O.
//!
//! Nothing is held back here: the library cannot take a body for complete before its last line
//! end, and a violation before that spoils the body as a whole.

use super::super::refusal::Violation;
use super::head::split_header;

/// Sixteen hexadecimal digits fill the length.
const MAX_SIZE_DIGITS: u8 = 16;

/// Nobody uses extensions; who sends some gets by with few.
const MAX_EXTENSION_BYTES: u16 = 256;

const MAX_TRAILER_BYTES: usize = 8 << 10;
const MAX_TRAILERS: usize = 32;

/// Fields that say where a message ends or goes to are too late in a trailer.
const NOT_IN_TRAILERS: [&[u8]; 6] =
    [b"content-length", b"transfer-encoding", b"host", b"authorization", b"connection", b"trailer"];

/// Where in a chunked body the next byte stands.
#[derive(Debug)]
pub(super) struct Chunks {
    at: At,
    trailers: usize,
    trailer_bytes: usize,
    /// The trailer line so far.
    line: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    Size { size: u64, digits: u8 },
    Extension { size: u64, bytes: u16 },
    SizeEnd { size: u64 },
    Data { left: u64 },
    DataEnd,
    DataEndFeed,
    Trailer,
}

/// How far a body has come.
#[derive(Debug, PartialEq)]
pub(super) enum Progress {
    /// All bytes belong to the body, which goes on.
    GoesOn,
    /// The body has ended after so many bytes.
    Ended(usize),
    /// After so many good bytes.
    Refused(usize, Violation),
}

impl Default for Chunks {
    fn default() -> Self {
        let at = At::Size { size: 0, digits: 0 };
        Self { at, trailers: 0, trailer_bytes: 0, line: Vec::new() }
    }
}

impl Chunks {
    pub(super) fn read(&mut self, bytes: &[u8]) -> Progress {
        let mut used = 0;
        while let Some(byte) = bytes.get(used) {
            if let At::Data { left } = self.at {
                let here = (bytes.len() - used) as u64;
                if left > here {
                    self.at = At::Data { left: left - here };
                    return Progress::GoesOn;
                }
                used += usize::try_from(left).expect("no more than what is here");
                self.at = At::DataEnd;
                continue;
            }
            match self.step(*byte) {
                Ok(false) => used += 1,
                Ok(true) => return Progress::Ended(used + 1),
                Err(violation) => return Progress::Refused(used, violation),
            }
        }
        Progress::GoesOn
    }

    /// Takes one byte that is not data. `true`: it was the body's last.
    fn step(&mut self, byte: u8) -> Result<bool, Violation> {
        self.at = match (self.at, byte) {
            (At::Size { size, digits }, _) if byte.is_ascii_hexdigit() => {
                if digits == MAX_SIZE_DIGITS {
                    return Err(Violation::ChunkSize);
                }
                let digit = char::from(byte).to_digit(16).expect("a hexadecimal digit");
                At::Size { size: size << 4 | u64::from(digit), digits: digits + 1 }
            }
            (At::Size { digits: 0, .. }, _) => return Err(Violation::ChunkSize),
            (At::Size { size, .. }, b'\r') => At::SizeEnd { size },
            (At::Size { size, .. }, b';') => At::Extension { size, bytes: 0 },
            (At::Size { .. }, _) => return Err(Violation::ChunkSize),
            (At::Extension { size, .. }, b'\r') => At::SizeEnd { size },
            (At::Extension { size, bytes }, _)
                if byte.is_ascii_graphic() && bytes < MAX_EXTENSION_BYTES =>
            {
                At::Extension { size, bytes: bytes + 1 }
            }
            (At::Extension { .. }, _) => return Err(Violation::ChunkExtension),
            (At::SizeEnd { size: 0 }, b'\n') => At::Trailer,
            (At::SizeEnd { size }, b'\n') => At::Data { left: size },
            (At::SizeEnd { .. }, _) => return Err(Violation::ChunkSize),
            (At::DataEnd, b'\r') => At::DataEndFeed,
            (At::DataEndFeed, b'\n') => At::Size { size: 0, digits: 0 },
            (At::Data { .. } | At::DataEnd | At::DataEndFeed, _) => {
                return Err(Violation::ChunkEnd);
            }
            (At::Trailer, b'\n') => return self.trailer(),
            (At::Trailer, _) => {
                self.trailer_bytes += 1;
                if self.trailer_bytes > MAX_TRAILER_BYTES {
                    return Err(Violation::Trailer);
                }
                self.line.push(byte);
                At::Trailer
            }
        };
        Ok(false)
    }

    fn trailer(&mut self) -> Result<bool, Violation> {
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\r").ok_or(Violation::Trailer)?;
        if line.is_empty() {
            return Ok(true);
        }
        self.trailers += 1;
        let (name, _) = split_header(line).map_err(|_| Violation::Trailer)?;
        let is_allowed = !NOT_IN_TRAILERS.iter().any(|other| name.eq_ignore_ascii_case(other));
        if self.trailers > MAX_TRAILERS || !is_allowed {
            return Err(Violation::Trailer);
        }
        Ok(false)
    }
}
