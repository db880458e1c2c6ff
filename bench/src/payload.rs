//! What the upstream answers and the load expects: the same bytes on both sides.

use memchr::memmem;

/// The sizes that a call may ask for, in bytes of content.
pub(crate) const SMALL: usize = 256;
pub(crate) const MEDIUM: usize = 10 * 1024;
pub(crate) const LARGE: usize = 1024 * 1024;

/// From here on the content is an image, below it is text.
const IMAGE_FROM: usize = LARGE;

/// Begins every payload and occurs nowhere else.
const MARK: &[u8] = b"BENCHPAYLOAD";

/// Content of one size. It holds no character that JSON would escape.
#[derive(Clone, Debug)]
pub(crate) struct Payload {
    text: Vec<u8>,
}

impl Payload {
    /// Of exactly `bytes` bytes, and always the same.
    pub(crate) fn of(bytes: usize) -> Self {
        let mut text = MARK.to_vec();
        let filler: &mut dyn FnMut() -> u8 =
            if bytes >= IMAGE_FROM { &mut base64_digits() } else { &mut prose() };
        while text.len() < bytes {
            text.push(filler());
        }
        text.truncate(bytes);
        Self { text }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.text
    }

    /// Content of this size is an image in base64 and not text.
    pub(crate) fn is_image(&self) -> bool {
        self.text.len() >= IMAGE_FROM
    }

    /// Whether a body carries the whole of it.
    pub(crate) fn is_in(&self, body: &[u8]) -> bool {
        memmem::find(body, MARK)
            .and_then(|at| body.get(at..at + self.text.len()))
            .is_some_and(|found| found == self.text)
    }
}

/// Digits as a compressed image would have them: no pattern that a scanner could skip.
fn base64_digits() -> impl FnMut() -> u8 {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    // Knuth's multiplier for a linear congruential generator; its high bits are good enough.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Six bits are an index into 64 digits.
        usize::try_from(state >> 58).ok().and_then(|at| DIGITS.get(at)).copied().unwrap_or(b'A')
    }
}

/// A text that no rule has a reason to look at twice.
fn prose() -> impl FnMut() -> u8 {
    let text = b" The doorkeeper looks at what comes, says who may go in, and writes down who did.";
    let mut letters = text.iter().copied().cycle();
    move || letters.next().unwrap_or(b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_found_whole_or_not_at_all() {
        for bytes in [SMALL, MEDIUM, LARGE] {
            let payload = Payload::of(bytes);
            assert_eq!(payload.bytes().len(), bytes);
            let mut body = [b"{\"text\":\"".as_slice(), payload.bytes(), b"\"}"].concat();
            assert!(payload.is_in(&body), "{bytes}");
            let last = 9 + bytes - 1;
            body[last] ^= 1;
            assert!(!payload.is_in(&body), "{bytes}");
            assert!(!payload.is_in(&body[..last]), "{bytes}");
        }
    }
}
