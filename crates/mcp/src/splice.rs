//! Edits to a body that leave the rest of it where it is.
//!
//! A [`Splice`] collects edits and [`Splice::finish`] cuts the body once: what was not edited is
//! handed on as slices of the same buffer, byte for byte. Edits may be made in any order. The last
//! edit of a member wins; an edit inside a value that is itself replaced or removed is lost with it.
//!
//! How many edits there are is up to whoever has sent the body, so making one costs the same however
//! many there are already; they are put in order once, at the end.

use std::collections::HashMap;
use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::json::{self, Member, Raw, Spans};

/// Edits over one body.
#[derive(Clone, Debug)]
pub struct Splice {
    body: Bytes,
    replaced: Vec<Edit>,
    members: Vec<MemberEdit>,
    appended: Vec<Edit>,
}

impl Splice {
    /// No edits yet.
    pub fn new(body: Bytes) -> Self {
        Self { body, replaced: Vec::new(), members: Vec::new(), appended: Vec::new() }
    }

    /// The body as it was before all edits.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Whether there are no edits.
    pub fn is_unchanged(&self) -> bool {
        self.replaced.is_empty() && self.members.is_empty() && self.appended.is_empty()
    }

    /// Puts `with` where `range` of the body was. Ranges must not cut each other in part; of two
    /// that lie in one another the outer one counts, and of two that are the same the last.
    pub fn replace(&mut self, range: Range<usize>, with: impl Into<Bytes>) {
        self.replaced.push(Edit { range, with: with.into() });
    }

    /// Puts `with` in the place of a value.
    ///
    /// # Panics
    /// If `value` was not cut from this body.
    pub fn replace_value(&mut self, value: Raw<'_>, with: impl Into<Bytes>) {
        let range = self.range_of(value);
        self.replace(range, with);
    }

    /// Sets a member to raw JSON: in its place if the object has it, else as its first member.
    ///
    /// # Panics
    /// If `object` was not cut from this body.
    pub fn set_member(&mut self, object: Raw<'_>, key: &str, value: impl Into<Bytes>) {
        self.edit_member(object, key, Some(value.into()));
    }

    /// Takes a member away with its comma, if the object has it.
    ///
    /// # Panics
    /// If `object` was not cut from this body.
    pub fn remove_member(&mut self, object: Raw<'_>, key: &str) {
        // Mostly there is nothing to take away. Behind other edits it may have been set by one.
        if !self.members.is_empty() || object.get(key).is_some() {
            self.edit_member(object, key, None);
        }
    }

    /// Takes away the members whose names are not in `known` but equal one of them when case is
    /// ignored (`Method`, or `paramſ` with U+017F). To us they are unknown members; an upstream
    /// whose JSON library ignores case would prefer them to the ones that policy has seen.
    ///
    /// # Panics
    /// If `object` was not cut from this body.
    pub fn remove_lookalikes(&mut self, object: Raw<'_>, known: &[&str]) {
        for (member, _) in object.places() {
            let name = member.decoded_name(object.bytes());
            if known.iter().any(|known| known.as_bytes() == &*name) {
                continue;
            }
            let name = String::from_utf8_lossy(&name);
            if known.iter().any(|known| is_lookalike(&name, known)) {
                self.remove_member(object, &name);
            }
        }
    }

    /// Adds raw JSON as the last item of an array.
    ///
    /// # Panics
    /// If `array` was not cut from this body.
    pub fn append_item(&mut self, array: Raw<'_>, item: impl Into<Bytes>) {
        let range = self.range_of(array);
        self.appended.push(Edit { range, with: item.into() });
    }

    /// The edited body, in parts.
    pub fn finish(mut self) -> Spliced {
        if self.is_unchanged() {
            return Spliced(vec![self.body]);
        }
        let mut edits = self.replaced;
        // Of edits of the same range the first one counts below.
        edits.reverse();
        let of = |range: &Range<usize>| (range.start, range.end);
        self.members.sort_by_key(|edit| of(&edit.object));
        for object in self.members.chunk_by(|one, other| one.object == other.object) {
            edit_object(&self.body, object, &mut edits);
        }
        self.appended.sort_by_key(|edit| of(&edit.range));
        for array in self.appended.chunk_by(|one, other| one.range == other.range) {
            edits.extend(append_to(&self.body, array));
        }
        // An insertion stands before what starts at the same byte, an outer edit before an inner.
        edits.sort_by_key(|edit| {
            let Range { start, end } = edit.range;
            (start, end > start, std::cmp::Reverse(end))
        });
        let mut parts = Vec::with_capacity(edits.len() * 2 + 1);
        let mut done = 0;
        for Edit { range, with } in edits {
            if range.start < done || range.end > self.body.len() || range.start > range.end {
                continue;
            }
            push_part(&mut parts, self.body.slice(done..range.start));
            push_part(&mut parts, with);
            done = range.end;
        }
        push_part(&mut parts, self.body.slice(done..));
        Spliced(parts)
    }

    fn edit_member(&mut self, object: Raw<'_>, key: &str, value: Option<Bytes>) {
        let object = self.range_of(object);
        self.members.push(MemberEdit { object, name: key.to_owned(), value });
    }

    fn range_of(&self, value: Raw<'_>) -> Range<usize> {
        value.range_in(&self.body).expect("a value is edited in the body that it was cut from")
    }
}

/// A body in parts, to be sent one after the other.
#[derive(Clone, Debug)]
pub struct Spliced(Vec<Bytes>);

impl Spliced {
    /// The length of all parts together, in bytes.
    pub fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    /// Whether there are no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The parts in order; none of them is empty, unless the body was.
    pub fn parts(&self) -> &[Bytes] {
        &self.0
    }

    /// The parts in order.
    pub fn into_parts(self) -> Vec<Bytes> {
        self.0
    }

    /// The body in one piece; copied only if it has more than one part.
    pub fn into_bytes(mut self) -> Bytes {
        if self.0.len() == 1
            && let Some(only) = self.0.pop()
        {
            return only;
        }
        let mut whole = BytesMut::with_capacity(self.len());
        for part in &self.0 {
            whole.extend_from_slice(part);
        }
        whole.freeze()
    }
}

impl From<Bytes> for Spliced {
    fn from(body: Bytes) -> Self {
        Self(vec![body])
    }
}

impl From<Vec<Bytes>> for Spliced {
    fn from(parts: Vec<Bytes>) -> Self {
        Self(parts)
    }
}

#[derive(Clone, Debug)]
struct Edit {
    range: Range<usize>,
    with: Bytes,
}

/// What becomes of one member of an object.
#[derive(Clone, Debug)]
struct MemberEdit {
    object: Range<usize>,
    name: String,
    /// Absent where the member is taken away.
    value: Option<Bytes>,
}

/// Finds the last edit of a member by its name.
enum Lookup<'a> {
    Few(&'a [MemberEdit]),
    Many(HashMap<&'a [u8], usize>),
}

impl<'a> Lookup<'a> {
    fn of(changes: &'a [MemberEdit]) -> Self {
        // Up to here it is quicker to look through them all.
        const FEW: usize = 8;

        if changes.len() <= FEW {
            return Self::Few(changes);
        }
        let all = changes.iter().enumerate();
        Self::Many(all.map(|(index, change)| (change.name.as_bytes(), index)).collect())
    }

    fn find(&self, name: &[u8]) -> Option<usize> {
        match self {
            Self::Few(changes) => changes.iter().rposition(|it| it.name.as_bytes() == name),
            Self::Many(by_name) => by_name.get(name).copied(),
        }
    }
}

/// The edits that make `changes`, which are all of one object.
fn edit_object(body: &Bytes, changes: &[MemberEdit], edits: &mut Vec<Edit>) {
    let Some(range) = changes.first().map(|it| it.object.clone()) else { return };
    let object = body.get(range.clone()).unwrap_or_default();
    let base = range.start;
    let lookup = Lookup::of(changes);
    let members: Vec<Member> = Spans::new(object).collect();
    let mut used = vec![false; changes.len()];
    let mut kept_any = false;
    // Where the removal of a run of members begins, if one is open.
    let mut removing_from = None;
    let mut last_kept_end = None;
    for member in &members {
        let change = lookup.find(&member.decoded_name(object));
        if let Some(used) = change.and_then(|index| used.get_mut(index)) {
            *used = true;
        }
        match change.and_then(|index| changes.get(index)).map(|it| &it.value) {
            Some(None) => {
                removing_from.get_or_insert(base + member.name.start);
                continue;
            }
            Some(Some(value)) => {
                let range = base + member.value.start..base + member.value.end;
                edits.push(Edit { range, with: value.clone() });
            }
            None => {}
        }
        // A run before a member that stays goes with the comma behind it.
        if let Some(start) = removing_from.take() {
            edits.push(Edit { range: start..base + member.name.start, with: Bytes::new() });
        }
        kept_any = true;
        last_kept_end = Some(base + member.value.end);
    }
    if let (Some(start), Some(last)) = (removing_from, members.last()) {
        // A run at the end goes with the comma before it.
        let start = last_kept_end.unwrap_or(start);
        edits.push(Edit { range: start..base + last.value.end, with: Bytes::new() });
    }
    let mut inserted = Vec::new();
    for (index, (used, change)) in used.iter().zip(changes).enumerate() {
        let (false, Some(value)) = (*used, &change.value) else { continue };
        if lookup.find(change.name.as_bytes()) != Some(index) {
            continue;
        }
        if !inserted.is_empty() {
            inserted.push(b',');
        }
        json::quote_into(&mut inserted, &change.name);
        inserted.push(b':');
        inserted.extend_from_slice(value);
    }
    if !inserted.is_empty() {
        if kept_any {
            inserted.push(b',');
        }
        edits.push(Edit { range: base + 1..base + 1, with: inserted.into() });
    }
}

/// The edit that makes `items`, which are all of one array, its last ones.
fn append_to(body: &Bytes, items: &[Edit]) -> Option<Edit> {
    let range = items.first()?.range.clone();
    let array = Raw::trusted(body.get(range.clone()).unwrap_or_default());
    let mut is_empty = array.items().next().is_none();
    let mut with = Vec::new();
    for item in items {
        if !std::mem::take(&mut is_empty) {
            with.push(b',');
        }
        with.extend_from_slice(&item.with);
    }
    // Before the closing bracket, so that no edit of the last item touches the same place.
    let at = range.end.saturating_sub(1);
    Some(Edit { range: at..at, with: with.into() })
}

fn push_part(parts: &mut Vec<Bytes>, part: Bytes) {
    if !part.is_empty() {
        parts.push(part);
    }
}

/// Equal when case is ignored as lenient JSON libraries do: ASCII, U+017F as `s`, U+212A as `k`.
pub fn is_lookalike(name: &str, known: &str) -> bool {
    if name.is_ascii() {
        return name.eq_ignore_ascii_case(known);
    }
    let fold = |letter: char| match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    name.chars().map(fold).eq(known.chars().map(fold))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;
    use crate::json::{Limits, check};

    /// Members and their new values; none to remove them.
    type Changes<'a> = &'a [(&'a str, Option<&'a str>)];

    #[test]
    fn members_are_set_removed_and_inserted() {
        let body = r#"{ "a" : 1 , "b" : { "c" : [ ] } , "d" : "x" }"#;
        let cases: [(Changes<'_>, &str); 9] = [
            (&[], body),
            (&[("a", Some("2"))], r#"{ "a" : 2 , "b" : { "c" : [ ] } , "d" : "x" }"#),
            (&[("a", None)], r#"{ "b" : { "c" : [ ] } , "d" : "x" }"#),
            (&[("b", None)], r#"{ "a" : 1 , "d" : "x" }"#),
            (&[("d", None)], r#"{ "a" : 1 , "b" : { "c" : [ ] } }"#),
            (&[("d", None), ("b", None)], r#"{ "a" : 1 }"#),
            (&[("a", None), ("b", None), ("d", None)], "{  }"),
            (
                &[("n", Some("null")), ("a", None)],
                r#"{"n":null, "b" : { "c" : [ ] } , "d" : "x" }"#,
            ),
            (
                &[("z", None), ("a", Some("2")), ("a", Some("3"))],
                r#"{ "a" : 3 , "b" : { "c" : [ ] } , "d" : "x" }"#,
            ),
        ];
        for (edits, expected) in cases {
            let body = Bytes::from_static(body.as_bytes());
            let mut splice = Splice::new(body.clone());
            let root = Raw::parse(&body, Limits::default()).unwrap();
            for (key, value) in edits {
                match value {
                    Some(value) => splice.set_member(root, key, (*value).to_owned()),
                    None => splice.remove_member(root, key),
                }
            }
            assert_eq!(splice.finish().into_bytes(), expected.as_bytes(), "{edits:?}");
        }
    }

    #[test]
    fn an_object_that_loses_all_and_wins_one_is_still_an_object() {
        let body = Bytes::from_static(br#"{"a":1,"b":2}"#);
        let root = Raw::parse(&body, Limits::default()).unwrap();
        let mut splice = Splice::new(body.clone());
        splice.remove_member(root, "a");
        splice.set_member(root, "n\"", "1");
        splice.remove_member(root, "b");
        splice.set_member(root, "m", "2");
        assert_eq!(splice.finish().into_bytes(), &br#"{"n\"":1,"m":2}"#[..]);
    }

    #[test]
    fn an_edit_inside_a_value_that_is_replaced_is_lost_with_it() {
        let body = Bytes::from_static(br#"{"a":{"b":1},"c":3}"#);
        let root = Raw::parse(&body, Limits::default()).unwrap();
        let inner = root.get("a").unwrap();
        let mut splice = Splice::new(body.clone());
        splice.set_member(inner, "b", "2");
        splice.set_member(root, "a", "{}");
        splice.set_member(inner, "x", "2");
        assert_eq!(splice.finish().into_bytes(), &br#"{"a":{},"c":3}"#[..]);
    }

    #[test]
    fn items_are_appended() {
        for (body, expected) in
            [("[]", "[7,8]"), ("[ ]", "[ 7,8]"), ("[{\"a\":1}]", "[{\"a\":2},7,8]")]
        {
            let body = Bytes::from_static(body.as_bytes());
            let array = Raw::parse(&body, Limits::default()).unwrap();
            let mut splice = Splice::new(body.clone());
            splice.append_item(array, "7");
            if let Some(item) = array.items().next() {
                splice.set_member(item, "a", "2");
            }
            splice.append_item(array, "8");
            assert_eq!(splice.finish().into_bytes(), expected.as_bytes());
        }
    }

    #[test]
    fn as_many_edits_as_a_body_has_members_are_made_in_one_go() {
        let member = |index: usize| format!("\"drop{index}\":0,\"keep{index}\":{{\"a\":1}}");
        let members: Vec<_> = (0..33_000).map(member).collect();
        let body = Bytes::from(format!("{{{}}}", members.join(",")));
        let root = Raw::parse(&body, Limits::default()).unwrap();
        let mut splice = Splice::new(body.clone());
        for (name, value) in root.members() {
            if value.is_object() {
                splice.set_member(value, "a", "2");
            } else {
                splice.remove_member(root, &name);
            }
        }
        let kept: Vec<_> = (0..33_000).map(|it| format!("\"keep{it}\":{{\"a\":2}}")).collect();
        assert_eq!(splice.finish().into_bytes(), format!("{{{}}}", kept.join(",")));
    }

    #[test]
    fn an_unchanged_body_is_handed_on_as_it_is() {
        let body = Bytes::from_static(b"{}");
        let spliced = Splice::new(body.clone()).finish();
        assert_eq!(spliced.parts().len(), 1);
        assert_eq!(spliced.into_bytes().as_ptr(), body.as_ptr());
    }

    #[test]
    fn what_is_not_edited_is_not_copied() {
        let body = Bytes::from(format!(r#"{{"big":"{}","id":1}}"#, "x".repeat(10_000)));
        let root = Raw::parse(&body, Limits::default()).unwrap();
        let mut splice = Splice::new(body.clone());
        splice.set_member(root, "id", "2");
        let parts = splice.finish().into_parts();
        assert_eq!(parts[0].as_ptr(), body.as_ptr());
        assert_eq!(parts.iter().map(Bytes::len).collect::<Vec<_>>(), [body.len() - 2, 1, 1]);
    }

    #[test]
    fn h035_lookalikes_do_not_travel() {
        let body = Bytes::from(
            "{\"name\":\"safe\",\"Name\":\"drop\",\"argument\u{17f}\":{},\"arguments\":{\"NAME\":1},\"to\u{212a}en\":1,\"names\":2}",
        );
        let root = Raw::parse(&body, Limits::default()).unwrap();
        let mut splice = Splice::new(body.clone());
        splice.remove_lookalikes(root, &["name", "arguments", "token"]);
        let expected = r#"{"name":"safe","arguments":{"NAME":1},"names":2}"#;
        assert_eq!(splice.finish().into_bytes(), expected.as_bytes());
    }

    /// One edit of an object that is reached by choosing members and items.
    #[derive(Clone, Debug)]
    struct Step {
        path: Vec<prop::sample::Index>,
        key: Key,
        value: Option<Value>,
    }

    #[derive(Clone, Debug)]
    enum Key {
        Existing(prop::sample::Index),
        New(String),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        let key = prop_oneof![
            any::<prop::sample::Index>().prop_map(Key::Existing),
            "[a-d\"é]{0,2}".prop_map(Key::New),
        ];
        let value = prop::option::of(prop_oneof![
            Just(Value::Null),
            any::<i32>().prop_map(Value::from),
            Just(serde_json::json!({"set": [1]})),
        ]);
        (prop::collection::vec(any::<prop::sample::Index>(), 0..4), key, value)
            .prop_map(|(path, key, value)| Step { path, key, value })
    }

    /// Where a step leads: member names and item numbers.
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
    enum Turn {
        Member(String),
        Item(usize),
    }

    fn resolve(root: &Value, path: &[prop::sample::Index]) -> Vec<Turn> {
        let mut turns = Vec::new();
        let mut at = root;
        for choice in path {
            match at {
                Value::Object(map) if !map.is_empty() => {
                    let (key, value) = map.iter().nth(choice.index(map.len())).unwrap();
                    turns.push(Turn::Member(key.clone()));
                    at = value;
                }
                Value::Array(items) if !items.is_empty() => {
                    let index = choice.index(items.len());
                    turns.push(Turn::Item(index));
                    at = &items[index];
                }
                _ => break,
            }
        }
        turns
    }

    fn walk<'a>(root: Raw<'a>, turns: &[Turn]) -> Raw<'a> {
        turns.iter().fold(root, |at, turn| match turn {
            Turn::Member(name) => at.get(name).unwrap(),
            Turn::Item(index) => at.items().nth(*index).unwrap(),
        })
    }

    fn walk_mut<'a>(root: &'a mut Value, turns: &[Turn]) -> Option<&'a mut Map<String, Value>> {
        let mut at = root;
        for turn in turns {
            at = match turn {
                Turn::Member(name) => at.get_mut(name)?,
                Turn::Item(index) => at.get_mut(index)?,
            };
        }
        at.as_object_mut()
    }

    proptest! {
        #[test]
        fn any_edits_do_to_the_text_what_they_do_to_the_tree(
            value in json::tests::any_value(),
            steps in prop::collection::vec(any_step(), 0..8),
            pretty in any::<bool>(),
        ) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let body = Bytes::from(text.unwrap());
            let root = Raw::parse(&body, Limits::default()).unwrap();
            let mut splice = Splice::new(body.clone());
            // The tree takes outer edits last, since they win over inner ones.
            let mut edits = Vec::new();
            for step in steps {
                let mut turns = resolve(&value, &step.path);
                let object = loop {
                    let at = walk(root, &turns);
                    if at.is_object() || turns.pop().is_none() {
                        break at;
                    }
                };
                if !object.is_object() {
                    continue;
                }
                let key = match step.key {
                    Key::New(key) => key,
                    Key::Existing(index) => {
                        let members: Vec<_> = object.members().collect();
                        if members.is_empty() { continue }
                        index.get(&members).0.to_string()
                    }
                };
                match &step.value {
                    Some(value) => splice.set_member(object, &key, value.to_string()),
                    None => splice.remove_member(object, &key),
                }
                edits.push((turns, key, step.value));
            }
            let mut expected = value.clone();
            edits.sort_by_key(|(turns, _, _)| std::cmp::Reverse(turns.len()));
            for (turns, key, value) in edits {
                let object = walk_mut(&mut expected, &turns).unwrap();
                match value {
                    Some(value) => { object.insert(key, value); }
                    None => { object.shift_remove(&key); }
                }
            }
            let spliced = splice.finish();
            prop_assert_eq!(spliced.len(), spliced.parts().iter().map(Bytes::len).sum::<usize>());
            let edited = spliced.into_bytes();
            prop_assert_eq!(check(&edited, Limits::default()), Ok(()), "{:?}", edited);
            prop_assert_eq!(serde_json::from_slice::<Value>(&edited).unwrap(), expected);
        }

        #[test]
        fn members_that_are_not_edited_keep_their_bytes(
            values in prop::collection::vec(json::tests::any_value(), 1..6),
            edited in any::<prop::sample::Index>(),
            remove in any::<bool>(),
        ) {
            let members: Vec<_> = values.iter().enumerate()
                .map(|(index, value)| format!("\"k{index}\": {value:#}")).collect();
            let body = Bytes::from(format!("{{ {} }}", members.join(" ,")));
            let root = Raw::parse(&body, Limits::default()).unwrap();
            let edited = format!("k{}", edited.index(values.len()));
            let mut splice = Splice::new(body.clone());
            if remove { splice.remove_member(root, &edited) } else { splice.set_member(root, &edited, "0") }
            let after = splice.finish().into_bytes();
            let after = Raw::parse(&after, Limits::default()).unwrap();
            for (name, value) in root.members().filter(|(name, _)| *name != edited) {
                prop_assert_eq!(after.get(&name), Some(value));
            }
            prop_assert_eq!(after.get(&edited).map(Raw::bytes), (!remove).then_some(&b"0"[..]));
        }
    }
}
