//! Changes of inputs that follow from a seed alone, for runs that are short and always the same.

/// Makes inputs out of others.
pub struct Mutator(u64);

/// What parsers look for.
const WORDS: [&[u8]; 26] = [
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"\\u0000",
    b"\\ud800",
    b"1e400",
    b"-0",
    b"null",
    b"\n",
    b"\r\n",
    b"\r",
    b"\n\n",
    b"data: ",
    b"id: ",
    b"\xef\xbb\xbf",
    b"\xff",
    b"\x00",
    b" ",
    b"__",
    b"=?base64?",
    b"?=",
];

impl Mutator {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// An input with a few changes; `others` may lend something.
    pub fn change(&mut self, input: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = input.to_vec();
        for _ in 0..=self.below(4) {
            self.once(&mut bytes, others);
        }
        bytes.truncate(LONGEST);
        bytes
    }

    fn once(&mut self, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
        let at = self.below(bytes.len() + 1);
        let end = at + self.below((bytes.len() - at).min(32) + 1);
        match self.below(7) {
            0 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << self.below(8);
                }
            }
            1 => {
                let any = u8::try_from(self.below(256)).unwrap();
                bytes.insert(at, any);
            }
            2 => drop(bytes.drain(at..end)),
            3 => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            4 => drop(bytes.splice(at..at, WORDS[self.below(WORDS.len())].iter().copied())),
            5 => drop(bytes.splice(at..end, WORDS[self.below(WORDS.len())].iter().copied())),
            _ => {
                let other = &others[self.below(others.len())];
                let from = self.below(other.len() + 1);
                let to = from + self.below((other.len() - from).min(64) + 1);
                bytes.splice(at..end, other[from..to].iter().copied());
            }
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let number = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((number ^ (number >> 31)) % bound as u64).unwrap()
    }
}

/// Of an input, in bytes.
const LONGEST: usize = 4 << 10;
