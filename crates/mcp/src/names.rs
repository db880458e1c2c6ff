//! The names under which an aggregated gateway shows what its servers offer.
//!
//! A tool or prompt `name` of the server with alias `files` is shown as `files__name`. An alias has
//! no underscore, so the first `__` ends it and two servers cannot meet. Where that form is not
//! usable (longer than 64 bytes, which some model APIs do not take, or other characters than
//! `A-Z a-z 0-9 _ . -`) the name is shortened, foreign characters become `_`, and `_` with eight hex
//! digits of SHA-256 over alias and name is added. A plain name that already ends like that gets a
//! digest too, so a server cannot choose a name that another tool's shortened form would have.
//!
//! A resource URI is shown as `files+file:///x`, which is a URI again since aliases start with a
//! letter. A template of RFC 6570 stays one, and what it expands to leads back to its server.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use aws_lc_rs::digest;

/// The longest exposed name, in bytes.
pub const MAX_EXPOSED_BYTES: usize = 64;

/// A server's own name longer than this is refused.
pub const MAX_NAME_BYTES: usize = 1024;

/// The name under which a tool or prompt is shown. Equal input gives equal output, always.
pub fn exposed(alias: &str, name: &str) -> String {
    let plain = format!("{alias}{SEPARATOR}{name}");
    let fits = plain.len() <= MAX_EXPOSED_BYTES && !name.is_empty();
    if fits && name.bytes().all(is_plain) && !ends_like_digest(name) {
        return plain;
    }
    let clean = |text: &str, most: usize| -> String {
        text.bytes().take(most).map(|b| if is_plain(b) { char::from(b) } else { '_' }).collect()
    };
    let alias_part = clean(alias, MAX_ALIAS_PART);
    let room = MAX_EXPOSED_BYTES - DIGEST_BYTES - SEPARATOR.len() - alias_part.len();
    format!("{alias_part}{SEPARATOR}{}{}", clean(name, room), digest_suffix(alias, name))
}

/// The URI under which a resource or resource template is shown.
pub fn exposed_uri(alias: &str, uri: &str) -> String {
    format!("{alias}+{uri}")
}

/// Alias and URI of an exposed URI.
pub fn split_uri(exposed: &str) -> Option<(&str, &str)> {
    let (alias, uri) = exposed.split_once('+')?;
    (is_alias(alias) && !uri.is_empty()).then_some((alias, uri))
}

/// Whether a text has the form of the exposed names and URIs of the server with this alias.
pub fn is_under(exposed: &str, alias: &str) -> bool {
    let named = exposed.split_once(SEPARATOR).map(|(it, _)| it);
    let is_short = |it: &str| it.len() == MAX_ALIAS_PART && alias.starts_with(it);
    named.is_some_and(|it| it == alias || is_short(it))
        || split_uri(exposed).is_some_and(|(it, _)| it == alias)
}

/// Whether a text can be an alias: 1 to 63 of `a-z`, `0-9` and `-`.
pub fn is_alias(text: &str) -> bool {
    let plain = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-');
    (1..=63).contains(&text.len()) && text.bytes().all(plain)
}

/// Exposed names and what they stand for. Each name stands for one thing, or it is not there.
#[derive(Clone, Debug, Default)]
pub struct Names {
    by_exposed: HashMap<String, (String, String)>,
    refused: Vec<Refused>,
}

/// What is not shown, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub alias: String,
    pub name: String,
    pub reason: RefusedName,
}

/// Why a name is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedName {
    #[error("name is empty, longer than {MAX_NAME_BYTES} bytes, or holds control characters")]
    Unusable,
    #[error("the server lists the name twice")]
    Twice,
    #[error("the exposed name would be that of another")]
    Collision,
}

impl Names {
    /// Takes (alias, name) pairs. A second pair that equals a first is refused; if different pairs
    /// would get one exposed name, all of them are, so that none can take another's place.
    pub fn build<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut names = Self::default();
        let mut collided = Vec::new();
        for (alias, name) in pairs {
            if !is_usable(name) || !is_alias(alias) {
                names.refuse(alias, name, RefusedName::Unusable);
                continue;
            }
            match names.by_exposed.entry(exposed(alias, name)) {
                Entry::Vacant(vacant) => {
                    vacant.insert((alias.to_owned(), name.to_owned()));
                }
                Entry::Occupied(taken) => {
                    let is_same = taken.get().0 == alias && taken.get().1 == name;
                    if !is_same {
                        collided.push(taken.key().clone());
                    }
                    let reason = if is_same { RefusedName::Twice } else { RefusedName::Collision };
                    names.refuse(alias, name, reason);
                }
            }
        }
        for exposed in collided {
            if let Some((alias, name)) = names.by_exposed.remove(&exposed) {
                names.refuse(&alias, &name, RefusedName::Collision);
            }
        }
        names
    }

    /// Alias and the server's own name of an exposed name.
    pub fn resolve(&self, exposed: &str) -> Option<(&str, &str)> {
        self.by_exposed.get(exposed).map(|(alias, name)| (alias.as_str(), name.as_str()))
    }

    /// The exposed name of what a server calls `name`, if it is shown.
    pub fn exposed(&self, alias: &str, name: &str) -> Option<String> {
        let exposed = exposed(alias, name);
        (self.resolve(&exposed) == Some((alias, name))).then_some(exposed)
    }

    /// What is not shown, for the administrators.
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// How many names are shown.
    pub fn len(&self) -> usize {
        self.by_exposed.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.by_exposed.is_empty()
    }

    fn refuse(&mut self, alias: &str, name: &str, reason: RefusedName) {
        let (alias, name) = (alias.to_owned(), name.to_owned());
        self.refused.push(Refused { alias, name, reason });
    }
}

const SEPARATOR: &str = "__";

/// `_` and eight hex digits.
const DIGEST_BYTES: usize = 9;

/// What is kept of an alias in a shortened name; leaves room for 21 bytes of the name.
const MAX_ALIAS_PART: usize = 32;

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

/// Whether what a server calls something can be shown at all.
pub fn is_usable(name: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&name.len()) && !name.chars().any(char::is_control)
}

/// Whether a URI template (RFC 6570) may make a URI, judged by the text between its expressions:
/// what stands before the first and behind the last of them, and all else in its order.
pub fn may_make(template: &str, uri: &str) -> bool {
    let Some((first, rest)) = template.split_once('{') else { return template == uri };
    let Some(mut left) = uri.strip_prefix(first) else { return false };
    let mut literals = rest.split('{').map(|it| it.split_once('}').map_or("", |(_, text)| text));
    let last = literals.next_back().unwrap_or_default();
    for literal in literals {
        let Some((_, after)) = left.split_once(literal) else { return false };
        left = after;
    }
    left.ends_with(last)
}

fn ends_like_digest(name: &str) -> bool {
    let bytes = name.as_bytes();
    let suffix = bytes.len().checked_sub(DIGEST_BYTES).and_then(|at| bytes.get(at..));
    suffix.and_then(<[u8]>::split_first).is_some_and(|(first, hex)| {
        *first == b'_' && hex.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

fn digest_suffix(alias: &str, name: &str) -> String {
    // An alias has no NUL, so the pair is told apart.
    let text = format!("{alias}\0{name}");
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    let mut suffix = String::with_capacity(DIGEST_BYTES);
    suffix.push('_');
    for byte in digest.as_ref().iter().take(4) {
        suffix.push_str(&format!("{byte:02x}"));
    }
    suffix
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_plain_name_is_prefixed_and_nothing_else() {
        assert_eq!(exposed("files", "read_file"), "files__read_file");
        assert_eq!(exposed("a", "b__c"), "a__b__c");
        assert_eq!(exposed("a", "_b.c-D"), "a___b.c-D");
        let longest = "n".repeat(64 - 7);
        assert_eq!(exposed("files", &longest), format!("files__{longest}"));
    }

    #[test]
    fn what_a_template_may_make() {
        for (template, uri, expected) in [
            ("a://x", "a://x", true),
            ("a://x", "a://xy", false),
            ("a://{x}", "a://1", true),
            ("a://{x}", "b://1", false),
            ("a://{x}", "a://{x}", true),
            ("a://{x}/mid/{y}.txt", "a://1/mid/2.txt", true),
            ("a://{x}/mid/{y}.txt", "a://1/2.txt", false),
            ("a://{x}/mid/{y}.txt", "a://1/mid/2.md", false),
            ("{+all}", "anything at all", true),
            ("a://{x", "a://1", true),
            ("", "", true),
        ] {
            assert_eq!(may_make(template, uri), expected, "{template} {uri}");
        }
    }

    #[test]
    fn what_is_shown_does_not_change_from_one_version_to_the_next() {
        assert_eq!(exposed("files", "read file"), "files__read_file_d8793cb6");
        let long = "a".repeat(63);
        assert_eq!(exposed(&long, "search"), format!("{}__search_0c83f1a5", "a".repeat(32)));
    }

    #[test]
    fn h119_equal_names_of_two_servers_and_imitations_are_told_apart() {
        let hashed = exposed("github", "delete repo");
        let imitation = hashed.strip_prefix("github__").unwrap();
        let pairs = [
            ("github", "search"),
            ("gitlab", "search"),
            ("evil", "github__delete"),
            ("github", "delete"),
            ("a", "b__c"),
            ("a", "b_c"),
            ("github", "delete repo"),
            ("github", imitation),
            ("github", "delete_repo"),
        ];
        let names = Names::build(pairs);
        assert_eq!(names.refused(), []);
        assert_eq!(names.len(), pairs.len());
        for (alias, name) in pairs {
            let exposed = names.exposed(alias, name).unwrap();
            assert_eq!(names.resolve(&exposed), Some((alias, name)));
        }
        assert_eq!(names.resolve("search"), None);
        assert_eq!(names.exposed("gitlab", "delete"), None);
    }

    #[test]
    fn h119_what_is_listed_twice_is_shown_once() {
        let names = Names::build([("a", "x"), ("a", "y"), ("a", "x")]);
        assert_eq!(names.len(), 2);
        let refused = Refused { alias: "a".into(), name: "x".into(), reason: RefusedName::Twice };
        assert_eq!(names.refused(), [refused]);
    }

    #[test]
    fn h120_strange_names_are_escaped_or_refused_and_never_equal() {
        let long = "n".repeat(1024);
        let shown =
            ["a/b", "a b", "a_b", "a😀b", "caf\u{e9}", "cafe\u{301}", "Search", "search", &long];
        let names = Names::build(shown.iter().map(|name| ("files", *name)));
        assert_eq!((names.len(), names.refused()), (shown.len(), &[][..]));
        let longer = "n".repeat(10 << 10);
        let refused = ["", "a\0b", "a\nb", "a\u{7f}", "a\u{85}", &longer];
        let names = Names::build(refused.iter().map(|name| ("files", *name)));
        assert!(names.is_empty());
        assert!(names.refused().iter().all(|refused| refused.reason == RefusedName::Unusable));
        assert_eq!(Names::build([("Not_an_alias", "x")]).len(), 0);
    }

    #[test]
    fn a_name_is_under_the_alias_that_it_was_made_of() {
        let long = "a".repeat(63);
        for name in ["x", "b__x", "read file", "+", "file:///x"] {
            for alias in ["a", "a-b", "abc", &long] {
                for other in ["a", "a-b", "abc", &long] {
                    let shown = [exposed(alias, name), exposed_uri(alias, name)];
                    let under = shown.map(|it| is_under(&it, other));
                    assert_eq!(under, [alias == other; 2], "{alias} {name} {other}");
                }
            }
        }
        assert!(!is_under("x", "x") && !is_under("", "x"));
    }

    #[test]
    fn uris_lead_back_to_their_server() {
        let uris = [
            "file:///x",
            "git+ssh://h/p?q#f",
            "file:///{path}{?q*}",
            "{+uri}",
            "ui://a/b",
            "urn:x",
        ];
        for uri in uris {
            let exposed = exposed_uri("files-2", uri);
            assert_eq!(split_uri(&exposed), Some(("files-2", uri)));
        }
        for text in ["", "file:///x", "files+", "+file:///x", "Files+file:///x", "a_b+x", "{a}+x"] {
            assert_eq!(split_uri(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn different_things_have_different_short_plain_names(
            pairs in prop::collection::hash_set(("[a-b-]{1,2}|[a-b]{60,63}", "[a-b_]{1,3}|[a /_é]{1,3}|[a-b]{50,60}|[a-b]_[0-1]{8}"), 1..40),
        ) {
            let pairs: Vec<_> = pairs.iter().map(|(alias, name)| (alias.as_str(), name.as_str())).collect();
            let exposed: HashSet<_> = pairs.iter().map(|(alias, name)| exposed(alias, name)).collect();
            prop_assert_eq!(exposed.len(), pairs.len());
            for name in &exposed {
                prop_assert!(name.len() <= MAX_EXPOSED_BYTES && name.bytes().all(is_plain), "{}", name);
            }
            let names = Names::build(pairs.iter().copied());
            prop_assert_eq!(names.len(), pairs.len());
            for (alias, name) in pairs {
                let exposed = names.exposed(alias, name).unwrap();
                prop_assert_eq!(names.resolve(&exposed), Some((alias, name)));
            }
        }

        #[test]
        fn any_text_has_a_plain_name(alias in "[a-z0-9-]{1,63}", name in any::<String>()) {
            let exposed = exposed(&alias, &name);
            prop_assert!(exposed.len() <= MAX_EXPOSED_BYTES && exposed.bytes().all(is_plain));
        }
    }
}
