//! A request head, line by line, without I/O.
//!
//! Each line is judged when its end has arrived, so a head that comes in pieces is read once, and
//! its first bad line is its last. Stricter than RFC 9112 where leniency has been abused: one
//! space and nothing else around the framing headers' values, `chunked` in lower case only, no
//! empty line before the request line, and no `_` in names.

use std::ops::Range;

use memchr::memchr;

use super::super::refusal::{Violation, knows};

/// What a head may be at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) lines: usize,
    pub(super) head_bytes: usize,
    pub(super) line_bytes: usize,
}

/// What has been read of a head.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// Where the first line begins whose end has not arrived.
    line: usize,
    /// Up to where no line end has been found.
    searched: usize,
    /// Header lines so far.
    count: usize,
    has_request_line: bool,
    is_http10: bool,
    /// The authority of an absolute target.
    authority: Option<Range<usize>>,
    host: Option<Range<usize>>,
    length: Option<u64>,
    is_chunked: bool,
    asks_for_upgrade: bool,
}

/// A head that is whole and unambiguous.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Complete {
    /// Bytes of the head, with the empty line that ends it.
    pub(super) bytes: usize,
    pub(super) body: Body,
    pub(super) asks_for_upgrade: bool,
}

/// How the body after a head is framed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Body {
    None,
    Length(u64),
    Chunked,
}

/// What `Upgrade` is written over with, so that the HTTP library never prepares for one.
const UNHEARD: &[u8; 7] = b"unheard";

impl Head {
    /// Reads on in `bytes`, which begin where the head begins. `None`: the head goes on.
    pub(super) fn read(
        &mut self,
        bytes: &mut [u8],
        bounds: &Bounds,
    ) -> Result<Option<Complete>, Violation> {
        // A TLS greeting on a plain port has no line ends to wait for.
        if bytes.first().is_some_and(|byte| !is_name_byte(*byte)) {
            return Err(Violation::RequestLine);
        }
        loop {
            let rest = bytes.get(self.searched..).unwrap_or_default();
            let Some(found) = memchr(b'\n', rest) else {
                self.searched = bytes.len();
                let part = bytes.get(self.line..).unwrap_or_default();
                self.check_size(part, bytes.len(), bounds)?;
                return Ok(None);
            };
            let line = self.line..self.searched + found;
            (self.line, self.searched) = (line.end + 1, line.end + 1);
            let text = bytes.get(line.clone()).unwrap_or_default();
            self.check_size(text, self.line, bounds)?;
            let Some(text) = text.strip_suffix(b"\r") else {
                return Err(Violation::BareLineEnd);
            };
            if text.len() > bounds.line_bytes {
                return Err(self.too_long());
            }
            if !self.has_request_line {
                self.request_line(text)?;
            } else if text.is_empty() {
                return self.complete(bytes).map(Some);
            } else if let Some(name) = self.header(text, line.start, bounds)? {
                bytes.get_mut(name).unwrap_or_default().copy_from_slice(UNHEARD);
            }
        }
    }

    /// Checks a line that may lack its end, in a head of so many bytes until now.
    fn check_size(&self, line: &[u8], head: usize, bounds: &Bounds) -> Result<(), Violation> {
        // The CR of its end may be there already.
        if line.len() > bounds.line_bytes + 1 {
            return Err(self.too_long());
        }
        if head > bounds.head_bytes { Err(Violation::HeadTooLarge) } else { Ok(()) }
    }

    fn too_long(&self) -> Violation {
        if self.has_request_line { Violation::LineTooLong } else { Violation::TargetTooLong }
    }

    fn request_line(&mut self, line: &[u8]) -> Result<(), Violation> {
        self.has_request_line = true;
        let mut parts = line.split(|byte| *byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Violation::RequestLine);
        };
        if method.is_empty() || !method.iter().all(|byte| is_name_byte(*byte)) {
            return Err(Violation::RequestLine);
        }
        self.is_http10 = match version {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            _ if version.starts_with(b"HTTP/") && knows(method) => return Err(Violation::Version),
            _ if version.starts_with(b"HTTP/") => return Err(Violation::Method),
            _ => return Err(Violation::RequestLine),
        };
        if !knows(method) {
            return Err(Violation::Method);
        }
        self.authority = target_authority(method, target)
            .ok_or(Violation::Target)?
            // One space stands between method and target.
            .map(|within| {
                let at = method.len() + 1;
                at + within.start..at + within.end
            });
        Ok(())
    }

    /// Takes a header line that begins at `at`. Answers where the name is, if it is `Upgrade`.
    fn header(
        &mut self,
        line: &[u8],
        at: usize,
        bounds: &Bounds,
    ) -> Result<Option<Range<usize>>, Violation> {
        self.count += 1;
        if self.count > bounds.lines {
            return Err(Violation::TooManyHeaders);
        }
        let (name, value) = split_header(line)?;
        let value_at = at + name.len() + 1;
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                let host = trimmed(value);
                if self.host.is_some() {
                    return Err(Violation::HostTwice);
                }
                if !is_authority(value.get(host.clone()).unwrap_or_default()) {
                    return Err(Violation::Host);
                }
                self.host = Some(value_at + host.start..value_at + host.end);
            }
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                self.asks_for_upgrade = true;
                return Ok(Some(at..at + name.len()));
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                if self.length.is_some() {
                    return Err(Violation::LengthTwice);
                }
                self.length = Some(length(exact(value)).ok_or(Violation::Length)?);
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if self.is_http10 {
                    return Err(Violation::CodingOn10);
                }
                if self.is_chunked || exact(value) != b"chunked" {
                    return Err(Violation::Coding);
                }
                self.is_chunked = true;
            }
            _ => {}
        }
        Ok(None)
    }

    /// What only the whole head can tell.
    fn complete(&self, bytes: &[u8]) -> Result<Complete, Violation> {
        let body = match (self.length, self.is_chunked) {
            (Some(_), true) => return Err(Violation::LengthAndCoding),
            (None, true) => Body::Chunked,
            (None | Some(0), false) => Body::None,
            (Some(length), false) => Body::Length(length),
        };
        let part = |range: &Range<usize>| bytes.get(range.clone()).unwrap_or_default();
        match (&self.authority, &self.host) {
            (_, None) if !self.is_http10 => return Err(Violation::HostMissing),
            (Some(authority), Some(host)) if !part(authority).eq_ignore_ascii_case(part(host)) => {
                return Err(Violation::HostDisagrees);
            }
            _ => {}
        }
        Ok(Complete { bytes: self.line, body, asks_for_upgrade: self.asks_for_upgrade })
    }
}

/// Name and value of a line, whole but for its end. The value has its spaces still.
pub(super) fn split_header(line: &[u8]) -> Result<(&[u8], &[u8]), Violation> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(Violation::FoldedLine);
    }
    let colon = line.iter().position(|byte| !is_name_byte(*byte));
    let (name, value) = match colon.and_then(|colon| line.split_at_checked(colon)) {
        Some((name, [b':', value @ ..])) if !name.is_empty() => (name, value),
        _ => return Err(Violation::HeaderName),
    };
    if name.contains(&b'_') {
        return Err(Violation::TwinName);
    }
    // Without an early end, so that the compiler can look at many bytes at once.
    let is_bad = value
        .iter()
        .fold(false, |bad, byte| bad | ((*byte < b' ') & (*byte != b'\t')) | (*byte == 0x7f));
    if is_bad { Err(Violation::HeaderValue) } else { Ok((name, value)) }
}

/// The value after the one space that everybody writes. Other space stays, and spoils it.
fn exact(value: &[u8]) -> &[u8] {
    value.strip_prefix(b" ").unwrap_or(value)
}

fn trimmed(value: &[u8]) -> Range<usize> {
    let end = value.trim_ascii_end().len();
    end - value.get(..end).unwrap_or_default().trim_ascii_start().len()..end
}

/// `1*DIGIT` that fits.
fn length(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |length, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        length.checked_mul(10)?.checked_add(digit)
    })
}

/// Checks a target: a path, `*` for OPTIONS, or a whole URL. Answers where a URL's authority is.
fn target_authority(method: &[u8], target: &[u8]) -> Option<Option<Range<usize>>> {
    // A fragment never travels, and a library that cuts it off sees another target than we do.
    let is_plain = target.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#');
    if !is_plain {
        return None;
    }
    if target.first() == Some(&b'/') || (target == b"*" && method == b"OPTIONS") {
        return Some(None);
    }
    let start = [&b"http://"[..], b"https://"].into_iter().find_map(|scheme| {
        let is_it = target.get(..scheme.len())?.eq_ignore_ascii_case(scheme);
        is_it.then_some(scheme.len())
    })?;
    let rest = target.get(start..)?;
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    is_authority(rest.get(..end)?).then_some(Some(start..start + end))
}

/// A name or address, and perhaps a port. Nobody's name and password.
fn is_authority(text: &[u8]) -> bool {
    let colon = match text {
        [b'[', rest @ ..] => {
            let Some(end) = memchr(b']', rest) else { return false };
            let address = rest.get(..end).unwrap_or_default();
            let is_address = !address.is_empty()
                && address
                    .iter()
                    .all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'));
            if !is_address {
                return false;
            }
            end + 2
        }
        _ => {
            let end = memchr(b':', text).unwrap_or(text.len());
            let name = text.get(..end).unwrap_or_default();
            let is_name = !name.is_empty()
                && name.iter().all(|byte| {
                    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
                });
            if !is_name {
                return false;
            }
            end
        }
    };
    match text.get(colon..).unwrap_or_default() {
        [] => true,
        [b':', port @ ..] => (1..=5).contains(&port.len()) && port.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// `tchar` of RFC 9110, section 5.6.2.
fn is_name_byte(byte: u8) -> bool {
    const NAME_BYTES: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte = 0u8;
        while byte < 128 {
            table[byte as usize] = byte.is_ascii_alphanumeric()
                || matches!(
                    byte,
                    b'!' | b'#'
                        | b'$'
                        | b'%'
                        | b'&'
                        | b'\''
                        | b'*'
                        | b'+'
                        | b'-'
                        | b'.'
                        | b'^'
                        | b'_'
                        | b'`'
                        | b'|'
                        | b'~'
                );
            byte += 1;
        }
        table
    };
    NAME_BYTES[usize::from(byte)]
}
