//! How deep the text of a policy is nested.
//!
//! Cedar reads, checks and evaluates by functions that call themselves, once for each level of a tree.
//! What is too deep for the stack would end the process with everything that it serves, or would not be
//! checked to its ground. So a text is measured before Cedar sees it, in one pass and without a stack:
//! brackets nest, and so do operators beside each other, which Cedar reads as pairs of pairs. What is
//! measured is at least what Cedar makes of it.

/// Ten times what people write, and a third of what a thread has room for.
const MOST: usize = 200;

/// A bracket takes Cedar through all its kinds of expressions, an operator through one.
const BRACKET: usize = 4;

/// What stands between two brackets, or around all of them.
#[derive(Default)]
struct Level {
    /// Operators since the last comma: each is above what stands before it.
    links: usize,
    /// Of what stands after the last of them.
    last: usize,
    /// The most of all that stands between them.
    most: usize,
    /// The most of what stands before the last comma.
    before: usize,
}

impl Level {
    fn link(&mut self) {
        self.links += 1;
        self.last = 0;
    }

    /// Something is made of what stands there, such as a member of it.
    fn grow(&mut self, by: usize) {
        self.last = self.last.max(by) + 1;
        self.most = self.most.max(self.last);
    }

    fn depth(&self) -> usize {
        self.before.max(self.links + self.most)
    }

    fn separate(&mut self) {
        *self = Self { before: self.depth(), ..Self::default() };
    }
}

/// Whether Cedar is not to be given it.
pub(super) fn is_too_deep(text: &str) -> bool {
    let mut levels = vec![Level::default()];
    let mut chars = text.chars().peekable();
    while let Some(it) = chars.next() {
        let is_inside = 1 < levels.len();
        let Some(level) = levels.last_mut() else { return true };
        match it {
            '"' => {
                while let Some(it) = chars.next() {
                    match it {
                        '\\' => drop(chars.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            '/' if chars.peek() == Some(&'/') => drop(chars.find(|it| *it == '\n')),
            '(' | '[' | '{' => levels.push(Level::default()),
            // One that closes nothing is for Cedar to complain of.
            ')' | ']' | '}' if is_inside => {
                let inner = levels.pop().map_or(0, |it| it.depth());
                if let Some(level) = levels.last_mut() {
                    level.grow(inner + BRACKET);
                }
            }
            ',' | ';' => level.separate(),
            '&' | '|' if chars.peek() == Some(&it) => {
                chars.next();
                level.link();
            }
            '+' | '-' | '*' | '!' => level.link(),
            '.' => level.grow(0),
            it if it.is_ascii_alphabetic() || it == '_' => {
                let mut word = String::from(it);
                while let Some(it) = chars.next_if(|it| it.is_ascii_alphanumeric() || *it == '_') {
                    word.push(it);
                }
                if matches!(&*word, "if" | "when" | "unless") {
                    level.link();
                }
            }
            _ => {}
        }
    }
    // What was never closed is as deep as what was.
    let mut depth = 0;
    for (n, level) in levels.iter().rev().enumerate() {
        let inner = if n == 0 { 0 } else { depth + BRACKET };
        depth = level.depth().max(level.links + inner);
    }
    MOST < depth
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PolicyText;

    /// On a thread with as much room as any has by default: what is let by is read and checked there.
    #[test]
    fn what_is_nested_too_deeply_is_not_given_to_cedar() {
        let hour = "context.hour > 24";
        let around = |before: &str, after: &str, n: usize| {
            format!("{}{hour}{}", before.repeat(n), after.repeat(n))
        };
        let beside = |operator: &str, n: usize| vec![hour; n].join(operator);
        let shapes: [(&str, &dyn Fn(usize) -> String); 11] = [
            ("parentheses", &|n| around("(", ")", n)),
            ("negations", &|n| around("!(", ")", n)),
            ("mixed", &|n| around("!(true && ", ")", n)),
            ("sets", &|n| {
                format!(
                    "{}1{} == {}1{}",
                    "[".repeat(n),
                    "]".repeat(n),
                    "[".repeat(n),
                    "]".repeat(n)
                )
            }),
            ("records", &|n| format!("{}1{} has a", "{a: ".repeat(n), "}".repeat(n))),
            ("conjunctions", &|n| beside(" && ", n)),
            ("disjunctions", &|n| beside("||", n)),
            ("sums", &|n| format!("{hour} {}", "+ 1 ".repeat(n))),
            ("alternatives", &|n| {
                format!("{}false", format!("if {hour} then true else ").repeat(n))
            }),
            ("conditions", &|n| around("if ", " then true else false", n)),
            ("members", &|n| format!("principal.user{} == principal", ".user".repeat(n))),
        ];
        for (shape, text) in shapes {
            for n in [1, 10, 20, 40, 60, 150, 300, 1_000, 10_000] {
                let text = format!("forbid(principal, action, resource) when {{ {} }};", text(n));
                let is_deep = is_too_deep(&text);
                assert!(!is_deep || 20 < n, "{shape} {n}: nobody is kept from writing that");
                assert!(is_deep || n < 300, "{shape} {n}");
                let read = std::thread::spawn(move || PolicyText::parse(&text)).join().unwrap();
                assert!(!is_deep || read.is_err(), "{shape} {n}");
            }
        }
    }

    #[test]
    fn what_only_looks_deep_is_not() {
        let open = "(".repeat(1_000);
        let many = vec![r#"Tool::"mail/pay""#; 1_000].join(", ");
        let statements = "forbid(principal, action, resource) when { 1 + 1 > 3 };\n".repeat(1_000);
        for text in [
            format!(r#"forbid(principal, action, resource) when {{ resource.name == "{open}" }};"#),
            format!(
                r#"forbid(principal, action, resource) when {{ resource.name == "\"{open}" }};"#
            ),
            format!("forbid(principal, action, resource) // {open}\nwhen {{ true }};"),
            format!("forbid(principal, action, resource) when {{ resource in [{many}] }};"),
            statements,
        ] {
            assert!(!is_too_deep(&text), "{text:.100}");
        }
        for text in [open, "{".repeat(1_000), ")".repeat(1_000) + &"(".repeat(60)] {
            assert!(is_too_deep(&text));
        }
    }
}
