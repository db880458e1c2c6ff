//! How many tokens a text is to a language model, by the vocabulary o200k, which is part of the program.
//!
//! Limits and previews count by the vocabulary itself. What is merely told of each call is estimated.

mod estimate;

pub use estimate::estimate;

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the vocabulary has been unpacked, which the first count does and which takes a while.
pub fn is_ready() -> bool {
    READY.load(Ordering::Relaxed)
}

/// How many tokens the text has; what is not UTF-8 counts as that many bytes. Linear in the text.
pub fn count(text: &[u8]) -> u64 {
    let Ok(text) = std::str::from_utf8(text) else { return text.len() as u64 };
    let count = bpe_openai::o200k_base().count(text);
    READY.store(true, Ordering::Relaxed);
    count as u64
}

static READY: AtomicBool = AtomicBool::new(false);

#[cfg(test)]
mod tests {
    use super::*;

    /// As the vocabulary's own library counts them.
    #[test]
    fn tokens() {
        let cases: [(&[u8], u64); 5] = [
            (b"", 0),
            (b"hello world", 2),
            ("Grüße aus Köln".as_bytes(), 5),
            (b"{\"name\":\"echo\",\"arguments\":{}}", 9),
            (b"\xff\xfe\xfd", 3),
        ];
        for (text, expected) in cases {
            assert_eq!(count(text), expected, "{:?}", String::from_utf8_lossy(text));
        }
        assert!(is_ready());
    }

    #[test]
    fn long_texts_without_a_break_take_linear_time() {
        for text in ["a".repeat(1 << 20), " ".repeat(1 << 20), "\n ".repeat(1 << 19)] {
            assert!(0 < count(text.as_bytes()));
        }
    }
}
