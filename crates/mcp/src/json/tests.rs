use std::fmt::Write;

use proptest::prelude::*;
use serde_json::Value;
use serde_json::value::RawValue;

use super::*;

#[test]
fn json_is_accepted() {
    let cases = [
        "{}",
        "[]",
        "null",
        " \t\r\n true \n",
        "-0",
        "-0.0e-0",
        "1E+9",
        r#""""#,
        r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00""#,
        "\"\u{7f}\u{80}é😀\"",
        r#"[1,"a",{"b":[{}]},[[]],null]"#,
        r#"{"a":{"a":1},"b":{"a":2}}"#,
        r#"{ "a" : 1 , "" : 2 }"#,
    ];
    for case in cases {
        assert_eq!(check(case.as_bytes(), Limits::default()), Ok(()), "{case}");
    }
}

#[test]
fn h036_what_is_not_json_is_refused() {
    let cases = [
        "",
        " ",
        "NaN",
        "Infinity",
        "-Infinity",
        "+1",
        "01",
        "-01",
        "-",
        "1.",
        ".5",
        "1e",
        "1e+",
        "0x10",
        "1_000",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\":1,}",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\" 1}",
        "{\"a\":1 \"b\":2}",
        "{a:1}",
        "{1:1}",
        "{'a':1}",
        "'a'",
        "// a\n1",
        "/* a */1",
        "# a\n1",
        "\u{feff}{}",
        "{}{}",
        "{} x",
        "1 2",
        "{}\0",
        "\u{a0}{}",
        "{]",
        "[}",
        "[",
        "{",
        "{\"a\":[1}",
        "\"a",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\u+123\"",
        "\"a\nb\"",
        "\"\t\"",
        "\"\u{0}\"",
        "tru",
        "True",
        "nullx",
        "undefined",
    ];
    for case in cases {
        let found = check(case.as_bytes(), Limits::default());
        let expected =
            matches!(found, Err(JsonError::Syntax { .. } | JsonError::TrailingBytes { .. }));
        assert!(expected, "{case:?} {found:?}");
    }
}

#[test]
fn a_control_character_is_refused_wherever_it_stands_in_a_long_string() {
    for length in [0, 1, 31, 32, 33, 63, 64, 100, 1000] {
        for place in 0..=length {
            let mut text = "x".repeat(length);
            text.insert(place, '\u{1f}');
            let found = check(format!("\"{text}\"").as_bytes(), Limits::default());
            assert_eq!(found, Err(JsonError::Syntax { at: place + 1 }), "{place} of {length}");
        }
        let unended = format!("\"{}", "x".repeat(length));
        let found = check(unended.as_bytes(), Limits::default());
        assert_eq!(found, Err(JsonError::Syntax { at: length + 1 }), "unended, {length}");
    }
}

#[test]
fn h034_duplicate_names_are_refused_at_any_depth_and_in_any_spelling() {
    let cases = [
        (r#"{"method":"tools/list","method":"tools/call"}"#, 23),
        (r#"{"method":1,"meth\u006fd":2}"#, 12),
        (r#"{"meth\u006Fd":1,"method":2}"#, 17),
        (r#"{"a":{"b":[{"c":1,"c":1}]}}"#, 18),
        (r#"{"":1,"":2}"#, 6),
        (r#"{"a\/b":1,"a/b":2}"#, 10),
        (r#"{"\ud83d\ude00":1,"😀":2}"#, 18),
        (r#"{"a":1,"b":{"a":2},"a":3}"#, 19),
    ];
    for (case, at) in cases {
        let found = check(case.as_bytes(), Limits::default());
        assert_eq!(found, Err(JsonError::DuplicateKey { at }), "{case}");
    }
}

#[test]
fn h034_duplicate_names_are_found_among_many() {
    for length in [2, 15, 16, 17, 18, 40] {
        for (first, second) in [(0, 1), (0, length - 1), (length - 2, length - 1)] {
            let mut names: Vec<_> =
                (0..length).map(|index| format!("\"k{index}\":[{{}}]")).collect();
            let fine = format!("{{{}}}", names.join(","));
            assert_eq!(check(fine.as_bytes(), Limits::default()), Ok(()), "{fine}");
            names[second] = names[first].replace('k', "\\u006b");
            let double = format!("{{{}}}", names.join(","));
            let found = check(double.as_bytes(), Limits::default());
            assert!(matches!(found, Err(JsonError::DuplicateKey { .. })), "{double}");
        }
    }
}

#[test]
fn h035_names_that_only_look_alike_are_different() {
    let text = "{\"method\":1,\"Method\":2,\"METHOD\":3,\"params\":4,\"param\u{17f}\":5,\"key\":6,\"\u{212a}ey\":7}";
    let raw = Raw::parse(text.as_bytes(), Limits::default()).unwrap();
    assert_eq!(raw.get("method").and_then(Raw::u64), Some(1));
    assert_eq!(raw.get("params").and_then(Raw::u64), Some(4));
    assert_eq!(raw.get("key").and_then(Raw::u64), Some(6));
    assert_eq!(raw.get("Params").map(Raw::bytes), None);
}

#[test]
fn h037_depth_members_and_names_are_bounded() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let limits = Limits::default();
    assert_eq!(check(nested(64).as_bytes(), limits), Ok(()));
    assert_eq!(check(nested(65).as_bytes(), limits), Err(JsonError::TooDeep { at: 64 }));
    assert_eq!(check(nested(10_000).as_bytes(), limits), Err(JsonError::TooDeep { at: 64 }));
    let open = "{\"a\":".repeat(10_000);
    assert_eq!(check(open.as_bytes(), limits), Err(JsonError::TooDeep { at: 320 }));

    let mut many = String::from("{");
    for index in 0..100_001 {
        write!(many, "{}\"{index}\":0", if index > 0 { "," } else { "" }).unwrap();
    }
    many.push('}');
    assert_eq!(check(many.as_bytes(), limits), Err(JsonError::TooManyMembers));
    let spread = format!("[{}]", vec!["{\"a\":1}"; 100_001].join(","));
    assert_eq!(check(spread.as_bytes(), limits), Err(JsonError::TooManyMembers));

    let named = |length: usize| format!("{{\"{}\":1}}", "k".repeat(length));
    assert_eq!(check(named(4096).as_bytes(), limits), Ok(()));
    assert_eq!(check(named(4097).as_bytes(), limits), Err(JsonError::KeyTooLong { at: 1 }));
    assert_eq!(check(named(10 << 20).as_bytes(), limits), Err(JsonError::KeyTooLong { at: 1 }));
}

#[test]
fn h038_numbers_keep_their_text() {
    let long = format!("1{}", "0".repeat(999));
    for text in ["9007199254740993", "1e400", "-0", "1.0", "0.10", &long] {
        let array = format!("[ {text} ]");
        let raw = Raw::parse(array.as_bytes(), Limits::default()).unwrap();
        assert_eq!(raw.items().next().map(Raw::text), Some(text));
        assert_eq!(canonical(raw), format!("[{text}]").as_bytes());
    }
}

#[test]
fn h039_text_that_is_not_unicode_is_refused() {
    let surrogates = [
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\ud800x""#,
        r#""\ud800\n""#,
        r#""\ud800\ud800""#,
        r#""\uDBFF\u0041""#,
        r#"{"\udfff":1}"#,
    ];
    for case in surrogates {
        let found = check(case.as_bytes(), Limits::default());
        assert!(matches!(found, Err(JsonError::LoneSurrogate { .. })), "{case} {found:?}");
    }
    let bytes: [&[u8]; 6] = [
        b"\"\xff\"",
        b"\"\xc0\xaf\"",
        b"\"\xe0\x80\xaf\"",
        b"\"\xed\xa0\x80\"",
        b"\"\xf5\x80\x80\x80\"",
        b"\"\xc3",
    ];
    for case in bytes {
        let found = check(case, Limits::default());
        assert_eq!(found, Err(JsonError::InvalidUtf8 { at: 1 }), "{case:?}");
    }
    let nul = check(br#"{"a":1,"b\u0000":2}"#, Limits::default());
    assert_eq!(nul, Err(JsonError::NulInKey { at: 7 }));
    assert_eq!(check(br#"{"a":"\u0000"}"#, Limits::default()), Ok(()));
}

#[test]
fn h046_names_of_foreign_object_models_are_plain_data() {
    let text = r##"{"__proto__":{"constructor":1},"$ref":"#/a"}"##;
    let raw = Raw::parse(text.as_bytes(), Limits::default()).unwrap();
    assert_eq!(raw.at(&["__proto__", "constructor"]).and_then(Raw::u64), Some(1));
    assert_eq!(canonical(raw), text.as_bytes());
}

#[test]
fn h047_many_names_with_a_common_beginning_are_checked_in_one_pass() {
    let names: Vec<_> = (0..90_000).map(|index| format!("\"aaaaaaaaaaaaaaaa{index}\":0")).collect();
    let text = format!("{{{}}}", names.join(","));
    // Compared pair by pair, this would take minutes.
    assert_eq!(check(text.as_bytes(), Limits::default()), Ok(()));
}

#[test]
fn a_value_knows_what_it_is() {
    let read = |text: &'static str| Raw::parse(text.as_bytes(), Limits::default()).unwrap();
    assert_eq!(read(" {} ").kind(), Kind::Object);
    assert_eq!(read(" [] ").kind(), Kind::Array);
    assert_eq!(read("-1").kind(), Kind::Number);
    assert_eq!(read("null").kind(), Kind::Null);
    assert_eq!(read("true").bool(), Some(true));
    assert_eq!(read("\"true\"").bool(), None);
    assert_eq!(read("18446744073709551615").u64(), Some(u64::MAX));
    assert_eq!(read("18446744073709551616").u64(), None);
    assert_eq!(read("-1").u64(), None);
    assert_eq!(read("-9223372036854775808").i64(), Some(i64::MIN));
    assert_eq!(read("1.0").i64(), None);
    assert_eq!(read("1.5e1").f64(), Some(15.0));
    assert_eq!(read("1e400").f64(), None);
    assert_eq!(read("\"1\"").f64(), None);
    assert_eq!(read(r#""a\"\\\u00e9\ud83d\ude00\n""#).str().as_deref(), Some("a\"\\é😀\n"));
    assert_eq!(read("1").str(), None);
    assert_eq!(read("[1]").members().count(), 0);
    assert_eq!(read("{\"a\":1}").items().count(), 0);
}

#[test]
fn a_value_knows_its_place_in_the_body() {
    let body = r#" { "a" : [ 1 , "x" ] } "#;
    let root = Raw::parse(body.as_bytes(), Limits::default()).unwrap();
    let item = root.get("a").and_then(|a| a.items().nth(1)).unwrap();
    let range = item.range_in(body.as_bytes()).unwrap();
    assert_eq!(body.get(range), Some("\"x\""));
    assert_eq!(root.range_in(body.as_bytes()), Some(1..22));
    assert_eq!(root.range_in(b"another"), None);
}

#[test]
fn a_quoted_text_is_as_short_as_it_can_be() {
    assert_eq!(quote("é\u{2028}/'"), "\"é\u{2028}/'\"");
    assert_eq!(
        quote("\"\\\n\r\t\u{8}\u{c}\u{1}\u{1f}\u{7f}"),
        "\"\\\"\\\\\\n\\r\\t\\b\\f\\u0001\\u001f\u{7f}\""
    );
}

/// Any JSON value, with names that like to repeat on different levels.
pub(crate) fn any_value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "[a-c]{0,2}",
        any::<String>(),
        Just("\"\\/\n\u{1}\u{2028}😀".to_owned()),
        Just("long enough for a search with vector instructions: é".repeat(3)),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i32>().prop_map(|quarters| Value::from(f64::from(quarters) / 4.0)),
        text.clone().prop_map(Value::from),
    ];
    let name = text.prop_filter("names have no NUL", |name| !name.contains('\0'));
    leaf.prop_recursive(4, 48, 20, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..20)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Text that is often almost JSON.
fn almost_json() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"a\"",
        "\"a\":",
        "\"\\u0061\":",
        "\"b\":1",
        "0",
        "1",
        "-",
        ".5",
        "e3",
        "true",
        "null",
        " ",
        "\n",
        "\\",
        "\\u",
        "\\ud83d\\ude00",
        "\\ud800",
        "é",
        "\u{1}",
        "{}",
        "[]",
        "{\"a\":[",
        "]}",
    ]);
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

/// Builds a tree from nothing but the walk.
/// Whether notes and a walk lead to the same members, all the way down.
fn same_places(noted: Raw<'_>, walked: Raw<'_>) {
    assert_eq!((noted, noted.members().count()), (walked, walked.members().count()));
    for ((name, one), (same, other)) in noted.members().zip(walked.members()) {
        assert_eq!(name, same);
        assert_eq!(noted.get(&name), Some(one));
        same_places(one, other);
    }
}

fn tree(raw: Raw<'_>) -> Value {
    match raw.kind() {
        Kind::Object => {
            Value::Object(raw.members().map(|(k, v)| (k.into_owned(), tree(v))).collect())
        }
        Kind::Array => Value::Array(raw.items().map(tree).collect()),
        Kind::String => Value::String(raw.str().unwrap().into_owned()),
        Kind::Number => serde_json::from_slice(raw.bytes()).unwrap(),
        Kind::Bool => Value::Bool(raw.bool().unwrap()),
        Kind::Null => Value::Null,
    }
}

/// What a lenient parser takes and we do not; see [`JsonError`].
fn is_strictness(error: JsonError) -> bool {
    !matches!(error, JsonError::Syntax { .. } | JsonError::TrailingBytes { .. })
}

fn agrees_with_serde_json(text: &str) -> Result<(), TestCaseError> {
    let ours = check(text.as_bytes(), Limits::default());
    let grammar = serde_json::from_str::<&RawValue>(text);
    match (ours, grammar) {
        (Ok(()), theirs) => prop_assert!(theirs.is_ok(), "{text:?}"),
        (Err(error), Ok(_)) => prop_assert!(is_strictness(error), "{text:?} {error}"),
        (Err(_), Err(_)) => {}
    }
    Ok(())
}

#[test]
fn notes_end_where_an_object_is_too_large_or_too_deep_or_in_an_array() {
    let many =
        |count| (0..count).map(|it| format!("\"m{it}\" : {{}} ")).collect::<Vec<_>>().join(",");
    let rows = [
        (r#"{"a":{"b":{"c":{"d":1}}},"e":[{"f":{"g":2}},{"h":{}}],"i":3}"#.to_owned(), true),
        (format!(r#" {{ "a" : {{ {} }} , "b" : {{ "c" : "d" }} }} "#, many(17)), true),
        (format!(r#"{{"a":{{"x":{{{}}},"y":{{"z":0}}}},"b":{{"c":[]}}}}"#, many(17)), true),
        (format!("{{{}}}", many(16)), true),
        (format!("{{{}}}", many(17)), false),
        (r#"[{"a":{"b":1}}]"#.to_owned(), false),
        ("{}".to_owned(), true),
        ("7".to_owned(), false),
    ];
    for (text, is_noted) in rows {
        let (root, notes) = check_noted(text.as_bytes(), Limits::default()).unwrap();
        assert_eq!(notes.is_some(), is_noted, "{text}");
        let whole = &text.as_bytes()[root];
        same_places(Raw::noted(whole, notes.as_deref()), Raw::trusted(whole));
    }
}

#[test]
fn members_are_sorted_and_numbers_keep_their_text() {
    let text = r#" { "b" : [ {"z":1.0,"y":1e2} ], "a\u0062" : 12345678901234567890123, "A":"\u00e9\u001b" } "#;
    let raw = Raw::parse(text.as_bytes(), Limits::default()).unwrap();
    let expected =
        "{\"A\":\"é\\u001b\",\"ab\":12345678901234567890123,\"b\":[{\"y\":1e2,\"z\":1.0}]}";
    assert_eq!(String::from_utf8(sorted(raw)).unwrap(), expected);
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        match std::str::from_utf8(&bytes) {
            Ok(text) => agrees_with_serde_json(text)?,
            Err(error) => {
                let at = error.valid_up_to();
                prop_assert_eq!(check(&bytes, Limits::default()), Err(JsonError::InvalidUtf8 { at }));
            }
        }
    }

    #[test]
    fn a_walk_over_unchecked_bytes_ends(text in almost_json()) {
        let raw = Raw::trusted(text.as_bytes());
        let seen = raw.members().count() + raw.items().count() + raw.items().flat_map(Raw::members).count();
        prop_assert!(seen <= 3 * text.len());
    }

    #[test]
    fn what_is_accepted_is_what_serde_json_accepts_but_for_strictness(text in almost_json()) {
        agrees_with_serde_json(&text)?;
    }

    #[test]
    fn a_walk_sees_the_same_tree_in_every_spelling(value in any_value()) {
        let (short, long) = (value.to_string(), serde_json::to_string_pretty(&value).unwrap());
        let limits = Limits::default();
        let short = Raw::parse(short.as_bytes(), limits).unwrap();
        let long = Raw::parse(long.as_bytes(), limits).unwrap();
        prop_assert_eq!(&tree(short), &value);
        prop_assert_eq!(&tree(long), &value);
        prop_assert_eq!(canonical(short), canonical(long));
        prop_assert_eq!(check(&canonical(long), limits), Ok(()));
    }

    #[test]
    fn one_changed_byte_is_judged_as_serde_json_judges_it(
        value in any_value(),
        place in any::<prop::sample::Index>(),
        byte in prop::sample::select(b"\"\\{}[],:0 \n\x01ax-".to_vec()),
    ) {
        let mut bytes = value.to_string().into_bytes();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        if let Ok(text) = std::str::from_utf8(&bytes) {
            agrees_with_serde_json(text)?;
        }
    }

    #[test]
    fn sorted_texts_tell_values_apart_and_nothing_else(
        one in any_value(),
        other in any_value(),
    ) {
        let texts = [serde_json::to_string_pretty(&one).unwrap(), one.to_string(), other.to_string()];
        let raws = texts.each_ref().map(|it| Raw::parse(it.as_bytes(), Limits::default()).unwrap());
        prop_assert_eq!(sorted(raws[0]), sorted(raws[1]));
        prop_assert_eq!(sorted(raws[0]) == sorted(raws[2]), one == other);
        let sorted = sorted(raws[0]);
        let again: Value = serde_json::from_slice(&sorted).unwrap();
        prop_assert_eq!(again, one);
    }

    #[test]
    fn what_the_one_pass_notes_is_what_the_walk_finds(value in any_value()) {
        let text = serde_json::to_string_pretty(&value).unwrap();
        let (root, notes) = check_noted(text.as_bytes(), Limits::default()).unwrap();
        prop_assert_eq!(root, 0..text.len());
        prop_assert_eq!(notes.is_some(), value.as_object().is_some_and(|it| it.len() <= 16));
        let noted = Raw::noted(text.as_bytes(), notes.as_deref());
        same_places(noted, Raw::trusted(text.as_bytes()));
    }

    #[test]
    fn a_quoted_text_is_read_back(text in any::<String>()) {
        let quoted = quote(&text);
        let raw = Raw::parse(quoted.as_bytes(), Limits::default()).unwrap();
        prop_assert_eq!(raw.str().unwrap(), text.as_str());
        prop_assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), text);
    }
}
