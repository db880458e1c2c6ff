//! How many tokens a text has, about, without the vocabulary.
//!
//! The text is cut where the vocabulary's own rules cut it, and each piece costs what pieces of its kind
//! and length have cost on average. So it is wrong about a word and right about a message, at a tenth
//! of the time or less.

/// How much of a text is looked at, in bytes; of a longer one that much stands for all of it.
const MOST: usize = 32 << 10;

/// Costs are in hundredths of a token.
const TOKEN: u64 = 100;

/// So many pieces in a row with nothing between them are no words: an identifier, a key, a digest.
const RANDOM: u32 = 8;

/// About how many tokens a text has that comes in parts.
pub fn estimate<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    let (mut cost, mut seen, mut length) = (0_u64, 0_usize, 0_usize);
    for part in parts {
        let looked_at = part.len().min(MOST - seen);
        cost = cost.saturating_add(cost_of(&part[..looked_at]));
        seen += looked_at;
        length = length.saturating_add(part.len());
    }
    let Ok(seen) = u128::try_from(seen.max(1)) else { return 0 };
    let whole = u128::from(cost) * (length as u128) / seen;
    let rounded = (whole + u128::from(TOKEN / 2)) / u128::from(TOKEN);
    u64::try_from(rounded).unwrap_or(u64::MAX)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Lower,
    Upper,
    Digit,
    Space,
    Line,
    /// Whatever else there is in ASCII.
    Mark,
    /// Of a character that is not ASCII.
    Wide,
}

const CLASSES: [Class; 256] = {
    let mut all = [Class::Mark; 256];
    let mut byte = 0_u8;
    loop {
        all[byte as usize] = match byte {
            b'a'..=b'z' => Class::Lower,
            b'A'..=b'Z' => Class::Upper,
            b'0'..=b'9' => Class::Digit,
            b' ' | b'\t' => Class::Space,
            b'\n' | b'\r' => Class::Line,
            0x80..=0xff => Class::Wide,
            _ => Class::Mark,
        };
        if byte == u8::MAX {
            break all;
        }
        byte += 1;
    }
};

/// What belongs to the piece that comes next.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Before {
    #[default]
    Nothing,
    Space,
    Mark,
}

#[derive(Default)]
struct Pieces<'a> {
    text: &'a [u8],
    at: usize,
    cost: u64,
    before: Before,
    /// How many pieces have come with nothing between them.
    chain: u32,
}

fn cost_of(text: &[u8]) -> u64 {
    let mut pieces = Pieces { text, ..Pieces::default() };
    while let Some(class) = pieces.class(pieces.at) {
        match class {
            Class::Lower | Class::Upper | Class::Wide => pieces.word(),
            Class::Digit => pieces.digits(),
            Class::Space | Class::Line => pieces.spaces(),
            Class::Mark => pieces.marks(),
        }
    }
    pieces.cost
}

impl Pieces<'_> {
    fn class(&self, at: usize) -> Option<Class> {
        self.text.get(at).map(|it| CLASSES[usize::from(*it)])
    }

    /// How many bytes there are of a kind.
    fn run(&self, from: usize, is_of: impl Fn(Class) -> bool) -> usize {
        let rest = self.text.get(from..).unwrap_or_default();
        rest.iter().take_while(|it| is_of(CLASSES[usize::from(**it)])).count()
    }

    /// Capitals and what follows them: `XMLHttp` is one piece, `Request` after it the next.
    fn word(&mut self) {
        let uppers = self.run(self.at, |it| it == Class::Upper);
        let before = std::mem::take(&mut self.before);
        let mut word = Word { uppers, lowers: 0, two: 0, wide: 0, before, chain: self.chain };
        let mut at = self.at + uppers;
        while let (Some(class), Some(byte)) = (self.class(at), self.text.get(at)) {
            at += match class {
                Class::Lower => {
                    word.lowers += 1;
                    1
                }
                Class::Wide => word.take(*byte),
                _ => break,
            };
        }
        self.cost += word.cost();
        self.at = at.min(self.text.len());
        self.chain += 1;
    }

    /// Three by three; nothing before them belongs to them.
    fn digits(&mut self) {
        if std::mem::take(&mut self.before) != Before::Nothing {
            self.cost += TOKEN;
        }
        let length = self.run(self.at, |it| it == Class::Digit);
        self.cost += length.div_ceil(3) as u64 * TOKEN;
        self.at += length;
        self.chain += 1;
    }

    /// One for the lines, one for what indents the last; a single space belongs to what follows it.
    fn spaces(&mut self) {
        let length = self.run(self.at, |it| matches!(it, Class::Space | Class::Line));
        let all = &self.text[self.at..self.at + length];
        let last = all.iter().rposition(|it| CLASSES[usize::from(*it)] == Class::Line);
        let rest = length - last.map_or(0, |it| it + 1);
        self.cost += u64::from(last.is_some()) * TOKEN + u64::from(1 < rest) * TOKEN;
        self.before = if rest == 0 { Before::Nothing } else { Before::Space };
        self.at += length;
        self.chain = 0;
    }

    /// What stands together is a piece, with the ends of lines after it. A single one goes with the word that it
    /// stands before.
    fn marks(&mut self) {
        let length = self.run(self.at, |it| it == Class::Mark);
        let next = self.class(self.at + length);
        let is_word = matches!(next, Some(Class::Lower | Class::Upper | Class::Wide));
        self.chain = 0;
        self.at += length;
        if length == 1 && is_word && self.before == Before::Nothing {
            self.before = Before::Mark;
            return;
        }
        self.before = Before::Nothing;
        self.cost += match length as u64 {
            0..=2 => TOKEN,
            3 => 115,
            more => 165 + 45 * (more - 4),
        };
        self.at += self.run(self.at, |it| it == Class::Line);
    }
}

struct Word {
    uppers: usize,
    lowers: usize,
    /// Letters of two bytes.
    two: usize,
    /// What those of more bytes cost.
    wide: u64,
    before: Before,
    chain: u32,
}

impl Word {
    /// Takes a character that begins with this byte; gives its length in bytes.
    fn take(&mut self, byte: u8) -> usize {
        let (cost, length) = match byte {
            0xf0.. => (180, 4),
            // Full-width forms.
            0xef => (TOKEN, 3),
            // Hangul.
            0xea.. => (68, 3),
            // Han.
            0xe4.. => (82, 3),
            // Kana, and Han that is rare.
            0xe3 => (65, 3),
            // Quotes, dashes, arrows.
            0xe2 => (TOKEN, 3),
            // What is written in South and South-East Asia.
            0xe0.. => (45, 3),
            0xc0.. => {
                self.two += 1;
                return 2;
            }
            // Not UTF-8.
            _ => (TOKEN, 1),
        };
        self.wide += cost;
        length
    }

    fn cost(&self) -> u64 {
        let ascii = (self.uppers + self.lowers) as u64;
        let length = ascii + self.two as u64;
        let mark = if self.before == Before::Mark { 50 } else { 0 };
        if self.wide != 0 {
            return self.wide.max(TOKEN) + mark + 20 * length;
        }
        if self.two != 0 {
            return TOKEN + 24 * length.saturating_sub(3) + mark;
        }
        if RANDOM <= self.chain || 20 < length {
            let capital = if self.uppers == 0 { 0 } else { 30 };
            return (53 * length + capital).max(TOKEN);
        }
        let cost = match (self.before, self.uppers) {
            (Before::Nothing | Before::Space, _) if length == 1 => TOKEN,
            (Before::Space, 0) => TOKEN + 2 * length.saturating_sub(5),
            (Before::Space, 1) => TOKEN + 3 * length.saturating_sub(3),
            (Before::Nothing, 0) => TOKEN + 6 * length.saturating_sub(2),
            (Before::Nothing, 1) => 110 + 5 * length.saturating_sub(2),
            (Before::Mark, 0) => TOKEN + 11 * (length - 1),
            (Before::Mark, 1) => 150 + 10 * (length - 1),
            (_, _) if self.lowers == 0 => 85 + 17 * length + mark,
            _ => 120 + 10 * length + mark,
        };
        cost + 25 * length.saturating_sub(12)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tokens::count;

    fn of(text: &str) -> u64 {
        estimate([text.as_bytes()])
    }

    /// In percent of what the vocabulary says.
    #[test]
    fn it_is_near_what_the_vocabulary_says() {
        let row = r#"{"id":"5b0e81d2-7c1f-4f0e-9a53-0f6f2f5c9d11","at":"2026-11-20T08:15:30Z",
            "amount":1290.5,"status":"in_progress","assignee":"ann@example.com","labels":["bug"]},"#;
        let cases: [(&str, &str, u64); 10] = [
            ("code", include_str!("../rules.rs"), 10),
            ("its own", include_str!("estimate.rs"), 10),
            ("schemas", include_str!("../../../../api/openapi.json"), 5),
            ("prose", include_str!("../../../../docs/handbook/record.md"), 10),
            ("rows", &row.repeat(20), 5),
            ("escaped", &serde_json::to_string(include_str!("../rules.rs")).unwrap(), 12),
            (
                "German",
                "Die Anfrage wurde abgelehnt, weil die Prüfung der Überweisung noch läuft.",
                20,
            ),
            ("Russian", "Запрос отклонён, потому что проверка платежа ещё не завершена.", 25),
            ("Chinese", "请求被拒绝，因为付款审核尚未完成。请稍后再试。", 35),
            ("Japanese", "支払いの確認が終わっていないため、リクエストは拒否されました。", 30),
        ];
        for (name, text, most) in cases {
            let (estimate, exact) = (of(text), count(text.as_bytes()));
            let off = estimate.abs_diff(exact) * 100 / exact;
            assert!(off <= most, "{name}: {estimate} and not {exact}, {off} %");
        }
    }

    #[test]
    fn nothing_has_none_and_a_word_has_one() {
        assert_eq!([of(""), of("echo"), of("42"), of(" "), of("\n\n")], [0, 1, 1, 0, 1]);
    }

    #[test]
    fn of_long_texts_a_part_stands_for_the_whole() {
        let text = include_str!("../rules.rs").repeat(20);
        let (estimate, exact) = (of(&text), count(text.as_bytes()));
        assert!(estimate.abs_diff(exact) * 100 / exact <= 15, "{estimate} and not {exact}");
        let parts: Vec<&[u8]> = text.as_bytes().chunks(1_000).collect();
        assert!(estimate.abs_diff(super::estimate(parts)) * 100 / estimate <= 3);
        assert_eq!(super::estimate([&[][..], &[][..]]), 0);
    }

    proptest! {
        #[test]
        fn it_is_never_more_than_a_token_for_each_byte(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            cut in 0_usize..200,
        ) {
            let (one, other) = bytes.split_at(cut.min(bytes.len()));
            let estimate = estimate([one, other]);
            prop_assert!(estimate <= 2 * bytes.len() as u64);
        }
    }
}
