use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::json::Limits;

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

/// Names and values as they are sent.
type Headers<'a> = &'a [(&'a str, &'a str)];

/// The code, or nothing where the request is fine.
type Outcome = Option<i32>;

const MISMATCH: Outcome = Some(errors::HEADER_MISMATCH);
const VERSION: Outcome = Some(errors::UNSUPPORTED_VERSION);
const PARAMS: Outcome = Some(errors::INVALID_PARAMS);

#[test]
fn a_request_whose_headers_tell_the_truth_is_accepted() {
    let cases = [
        (r#""method":"tools/list""#, "", "tools/list", None),
        (r#""method":"tools/call""#, r#","name":"a b""#, "tools/call", Some("a b")),
        (r#""method":"prompts/get""#, r#","name":"p""#, "prompts/get", Some("p")),
        (
            r#""method":"resources/read""#,
            r#","uri":"file:///x""#,
            "resources/read",
            Some("file:///x"),
        ),
        (r#""method":"tasks/cancel""#, r#","taskId":"t""#, "tasks/cancel", Some("t")),
        (r#""method":"tools/list""#, "", "tools/list", Some("nobody cares")),
        (r#""method":"vendor/x""#, r#","name":"n""#, "vendor/x", None),
        (r#""method":"tools/call""#, "", "tools/call", None),
    ];
    for (method, params, method_header, name) in cases {
        let message = request(method, &format!("{META}{params}"));
        let mut headers =
            vec![("mcp-protocol-version", "2026-07-28"), ("mcp-method", method_header)];
        headers.extend(name.map(|name| ("mcp-name", name)));
        assert_eq!(
            validate(&map(&headers), &message),
            Ok(Revision::V2026_07_28),
            "{method} {params}"
        );
    }
}

#[test]
fn blanks_around_values_do_not_count() {
    let headers = map(&[
        ("MCP-Protocol-Version", " 2026-07-28 "),
        ("MCP-METHOD", "\ttools/call"),
        ("mcp-name", "  t  "),
    ]);
    assert!(validate(&headers, &call(r#""t""#)).is_ok());
}

#[test]
fn each_missing_part_has_its_code_in_a_fixed_order() {
    let version = "io.modelcontextprotocol/protocolVersion";
    let capabilities = "io.modelcontextprotocol/clientCapabilities";
    let method = ("mcp-method", "tools/list");
    let right = ("mcp-protocol-version", "2026-07-28");
    let unknown = ("mcp-protocol-version", "v999.0.0");
    let legacy = ("mcp-protocol-version", "2025-11-25");
    let full = META.to_owned();
    let without_version = format!(r#""_meta":{{"{capabilities}":{{}}}}"#);
    let without_capabilities = format!(r#""_meta":{{"{version}":"2026-07-28"}}"#);
    let with = |v: &str, c: &str| format!(r#""_meta":{{"{version}":{v},"{capabilities}":{c}}}"#);
    let cases: [(Headers<'_>, String, Outcome); 17] = [
        (&[right, method], full.clone(), None),
        (&[right, method], String::new(), PARAMS),
        (&[right, method], r#""_meta":null"#.into(), PARAMS),
        (&[right, method], without_version.clone(), PARAMS),
        (&[right, method], without_capabilities, PARAMS),
        (&[right, method], with("1", "{}"), PARAMS),
        (&[right, method], with("\"2026-07-28\"", "[]"), PARAMS),
        (&[], without_version, PARAMS),
        (&[method], full.clone(), MISMATCH),
        (&[right, right, method], full.clone(), MISMATCH),
        (&[("mcp-protocol-version", "2026-07-2é"), method], full.clone(), MISMATCH),
        (&[unknown, method], full.clone(), MISMATCH),
        (&[right, method], with("\"v999.0.0\"", "{}"), MISMATCH),
        (&[unknown, method], with("\"v999.0.0\"", "{}"), VERSION),
        (&[unknown], with("\"v999.0.0\"", "{}"), VERSION),
        (&[legacy, method], with("\"2025-11-25\"", "{}"), VERSION),
        (&[right], full, MISMATCH),
    ];
    for (headers, params, expected) in cases {
        let message = request(r#""method":"tools/list""#, &params);
        assert_eq!(code(headers, &message), expected, "{headers:?} {params}");
    }
    let without_params = message(r#""id":1,"method":"tools/list""#);
    assert_eq!(code(&[right, method], &without_params), PARAMS);
}

#[test]
fn h042_a_response_is_refused() {
    let response = message(r#""id":1,"result":{}"#);
    let headers = [("mcp-protocol-version", "2026-07-28")];
    assert_eq!(code(&headers, &response), Some(errors::INVALID_REQUEST));
}

#[test]
fn a_notification_needs_no_headers_but_may_not_lie() {
    let cases = [
        (None, "", None),
        (Some("2026-07-28"), "", None),
        (None, META, None),
        (Some("2026-07-28"), META, None),
        (Some("2025-11-25"), META, MISMATCH),
        (Some("2025-11-25"), "", VERSION),
    ];
    for (version, params, expected) in cases {
        let message =
            message(&format!(r#""method":"notifications/cancelled","params":{{{params}}}"#));
        let headers: Vec<_> =
            version.map(|version| ("mcp-protocol-version", version)).into_iter().collect();
        assert_eq!(code(&headers, &message), expected, "{version:?} {params}");
    }
}

#[test]
fn h049_h050_method_and_name_must_equal_the_body() {
    let cases: [(Headers<'_>, Outcome); 9] = [
        (&[("mcp-method", "tools/call"), ("mcp-name", "drop_db")], None),
        (&[("mcp-method", "tools/call"), ("mcp-name", "safe_tool")], MISMATCH),
        (&[("mcp-method", "tools/call"), ("mcp-name", "DROP_DB")], MISMATCH),
        (&[("mcp-method", "tools/call")], MISMATCH),
        (
            &[("mcp-method", "tools/call"), ("mcp-name", "drop_db"), ("mcp-name", "drop_db")],
            MISMATCH,
        ),
        (&[("mcp-name", "drop_db")], MISMATCH),
        (&[("mcp-method", "tools/list"), ("mcp-name", "drop_db")], MISMATCH),
        (&[("mcp-method", "TOOLS/CALL"), ("mcp-name", "drop_db")], MISMATCH),
        (
            &[("mcp-method", "tools/call"), ("mcp-method", "tools/call"), ("mcp-name", "drop_db")],
            MISMATCH,
        ),
    ];
    for (headers, expected) in cases {
        let headers = [&[("mcp-protocol-version", "2026-07-28")], headers].concat();
        assert_eq!(code(&headers, &call(r#""drop_db""#)), expected, "{headers:?}");
    }
    let headers =
        [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "x")];
    assert_eq!(code(&headers, &call("1")), MISMATCH, "the body names nothing");
}

#[test]
fn h051_h052_only_exact_marks_make_a_value_base64() {
    let cases = [
        ("=?base64?SGVsbG8=?=", "Hello", None),
        ("=?base64?SGVsbG8=?=", "hello", MISMATCH),
        ("=?base64?SGVsbG8?=", "Hello", MISMATCH),
        ("=?base64?SGVs!!!bG8=?=", "Hello", MISMATCH),
        ("=?base64?/w==?=", "\u{ff}", MISMATCH),
        ("=?base64??=", "", None),
        ("=?BASE64?SGVsbG8=?=", "Hello", MISMATCH),
        ("=?BASE64?SGVsbG8=?=", "=?BASE64?SGVsbG8=?=", None),
        ("SGVsbG8=", "SGVsbG8=", None),
        ("=?base64?SGVsbG8=", "=?base64?SGVsbG8=", None),
        ("SGVsbG8=?=", "SGVsbG8=?=", None),
        ("=?base64?SGVsbG8=?=", "=?base64?SGVsbG8=?=", MISMATCH),
        ("=?base64?PT9iYXNlNjQ/U0dWc2JHOD0/PQ==?=", "=?base64?SGVsbG8=?=", None),
    ];
    for (header, name, expected) in cases {
        let headers = [
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", "tools/call"),
            ("mcp-name", header),
        ];
        assert_eq!(code(&headers, &call(&json::quote(name))), expected, "{header} {name}");
    }
}

#[test]
fn h055_an_unsupported_version_is_answered_with_the_supported_ones() {
    let error = HeaderError::Version { requested: "v\"9".into() };
    let data = error.data().unwrap();
    assert_eq!(data, r#"{"supported":["2026-07-28"],"requested":"v\"9"}"#);
    assert_eq!(HeaderError::Response.data(), None);
}

#[test]
fn names_are_mirrored_where_a_method_names_something() {
    let cases = [
        ("tools/call", r#"{"name":"é"}"#, Some("=?base64?w6k=?=")),
        ("resources/read", r#"{"uri":"file:///x y"}"#, Some("file:///x y")),
        ("tools/list", r#"{"name":"x"}"#, None),
        ("tools/call", "{}", None),
    ];
    for (method, params, expected) in cases {
        let params = Raw::parse(params.as_bytes(), Limits::default()).unwrap();
        let value = name_header(method, Some(params));
        assert_eq!(value.as_ref().map(|v| v.to_str().unwrap()), expected, "{method}");
    }
}

#[test]
fn annotations_are_collected_with_their_paths() {
    let schema = r#"{"type":"object","properties":{
        "region":{"type":"string","x-mcp-header":"Region"},
        "opts":{"type":"object","properties":{"n":{"x-mcp-h\u0065ader":"N","type":"integer"}}},
        "x-mcp-header":{"type":"string"},
        "list":{"type":"array","items":{"type":"string"},"default":[{"x-mcp-header":"data"}]},
        "dry":{"type":"boolean","x-mcp-header":"dry-run","enum":[{"x-mcp-header":1}]}}}"#;
    let found = headers_of(schema).unwrap();
    let found: Vec<_> =
        found.iter().map(|p| (p.header.as_str(), p.path.join("/"), p.param)).collect();
    assert_eq!(
        found,
        [
            ("mcp-param-region", "region".to_owned(), ParamType::String),
            ("mcp-param-n", "opts/n".to_owned(), ParamType::Integer),
            ("mcp-param-dry-run", "dry".to_owned(), ParamType::Boolean),
        ]
    );
    assert_eq!(headers_of(r#"{"type":"object","properties":{"a":{"pattern":"\\d"}}}"#), Ok(vec![]));
}

#[test]
fn h057_an_invalid_annotation_spoils_the_tool() {
    use InvalidAnnotation::{Name, Place, Type};
    let property = |schema: &str| format!(r#"{{"properties":{{"a":{schema}}}}}"#);
    let annotated = r#"{"type":"string","x-mcp-header":"X"}"#;
    let cases = [
        (property(r#"{"type":"string","x-mcp-header":""}"#), Name),
        (property(r#"{"type":"string","x-mcp-header":1}"#), Name),
        (property(r#"{"type":"string","x-mcp-header":"a b"}"#), Name),
        (property(r#"{"type":"string","x-mcp-header":"a:b"}"#), Name),
        (property(r#"{"type":"string","x-mcp-header":"é"}"#), Name),
        (property(r#"{"type":"string","x-mcp-header":"a\u0001"}"#), Name),
        (property(r#"{"type":"string","x-mcp-header":"a\r\nb"}"#), Name),
        (property(r#"{"type":"number","x-mcp-header":"X"}"#), Type),
        (property(r#"{"type":"object","x-mcp-header":"X"}"#), Type),
        (property(r#"{"type":"array","x-mcp-header":"X"}"#), Type),
        (property(r#"{"type":"null","x-mcp-header":"X"}"#), Type),
        (property(r#"{"type":["string","null"],"x-mcp-header":"X"}"#), Type),
        (property(r#"{"x-mcp-header":"X"}"#), Type),
        (property(&format!(r#"{{"items":{annotated}}}"#)), Place),
        (property(&format!(r#"{{"anyOf":[{annotated}]}}"#)), Place),
        (property(&format!(r#"{{"items":{{"properties":{{"b":{annotated}}}}}}}"#)), Place),
        (format!(r#"{{"$defs":{{"d":{annotated}}}}}"#), Place),
        (format!(r#"{{"patternProperties":{{".*":{annotated}}}}}"#), Place),
        (format!(r#"{{"additionalProperties":{annotated}}}"#), Place),
        (format!(r#"{{"if":{{"properties":{{"b":{annotated}}}}}}}"#), Place),
        (annotated.to_owned(), Place),
        (format!(r#"{{"vendor":[[{annotated}]]}}"#), Place),
    ];
    for (schema, expected) in cases {
        assert_eq!(headers_of(&schema), Err(expected), "{schema}");
    }
    let double = r#"{"properties":{"a":{"type":"string","x-mcp-header":"X"},"b":{"type":"string","x-mcp-header":"x"}}}"#;
    assert_eq!(headers_of(double), Err(InvalidAnnotation::Duplicate { name: "x".into() }));
    let many: Vec<_> =
        (0..65).map(|n| format!(r#""p{n}":{{"type":"string","x-mcp-header":"H{n}"}}"#)).collect();
    let many = format!(r#"{{"properties":{{{}}}}}"#, many.join(","));
    assert_eq!(headers_of(&many), Err(InvalidAnnotation::TooMany));
}

const SCHEMA: &str = r#"{"properties":{"s":{"type":"string","x-mcp-header":"S"},
    "i":{"type":"integer","x-mcp-header":"I"},"b":{"type":"boolean","x-mcp-header":"B"}}}"#;

#[test]
fn h056_mirrored_arguments_must_equal_the_body() {
    let cases: [(Headers<'_>, &str, bool); 25] = [
        (&[], "{}", true),
        (&[], r#"{"s":null}"#, true),
        (&[], r#"{"s":"x"}"#, false),
        (&[("mcp-param-s", "x")], r#"{"s":"x"}"#, true),
        (&[("mcp-param-s", " x\t")], r#"{"s":"x"}"#, true),
        (&[("mcp-param-s", "X")], r#"{"s":"x"}"#, false),
        (&[("mcp-param-s", "x"), ("mcp-param-s", "x")], r#"{"s":"x"}"#, false),
        (&[("mcp-param-s", "é")], r#"{"s":"é"}"#, false),
        (&[("mcp-param-s", "=?base64?w6k=?=")], r#"{"s":"é"}"#, true),
        (&[("mcp-param-s", "")], r#"{"s":""}"#, true),
        (&[("mcp-param-s", "null")], r#"{"s":null}"#, false),
        (&[("mcp-param-s", "x")], "{}", false),
        (&[("mcp-param-i", "42")], r#"{"i":42}"#, true),
        (&[("mcp-param-i", "42.0")], r#"{"i":42}"#, true),
        (&[("mcp-param-i", "42")], r#"{"i":42.0}"#, true),
        (&[("mcp-param-i", "4.2e1")], r#"{"i":42}"#, true),
        (&[("mcp-param-i", "43")], r#"{"i":42}"#, false),
        (&[("mcp-param-i", "+42")], r#"{"i":42}"#, false),
        (&[("mcp-param-i", "042")], r#"{"i":42}"#, false),
        (&[("mcp-param-i", "inf")], r#"{"i":1e400}"#, false),
        (&[("mcp-param-i", "9007199254740993")], r#"{"i":9007199254740992}"#, false),
        (&[("mcp-param-b", "true")], r#"{"b":true}"#, true),
        (&[("mcp-param-b", "True")], r#"{"b":true}"#, false),
        (&[("mcp-param-s", "{}")], r#"{"s":{}}"#, false),
        (&[("mcp-param-unknown", "x")], "{}", true),
    ];
    let params = headers_of(SCHEMA).unwrap();
    for (headers, arguments, fine) in cases {
        let arguments = Raw::parse(arguments.as_bytes(), Limits::default()).unwrap();
        let outcome = check_params(&map(headers), &params, Some(arguments));
        assert_eq!(
            outcome.as_ref().err().map(HeaderError::code),
            if fine { None } else { MISMATCH },
            "{headers:?} {arguments:?}"
        );
    }
    assert_eq!(check_params(&map(&[]), &params, None), Ok(()));
}

#[test]
fn mirrored_arguments_are_written_as_their_reader_wants_them() {
    let params = headers_of(SCHEMA).unwrap();
    let cases = [
        (r#"{"s":"us west 1","i":42,"b":false}"#, vec!["us west 1", "42", "false"]),
        (r#"{"s":" x","i":42.0}"#, vec!["=?base64?IHg=?=", "42"]),
        (
            r#"{"s":"line1\r\nline2","i":-0.5,"b":null}"#,
            vec!["=?base64?bGluZTENCmxpbmUy?=", "-0.5"],
        ),
        (r#"{"s":"\tindented"}"#, vec!["=?base64?CWluZGVudGVk?="]),
        (r#"{"s":"=?base64?eA==?="}"#, vec!["=?base64?PT9iYXNlNjQ/ZUE9PT89?="]),
        (r#"{"s":"","i":12345678901234567890}"#, vec!["", "12345678901234567890"]),
        (r#"{"s":[1],"i":{}}"#, vec![]),
    ];
    for (arguments, expected) in cases {
        let arguments = Raw::parse(arguments.as_bytes(), Limits::default()).unwrap();
        let values = param_header_values(&params, Some(arguments));
        let values: Vec<_> = values.iter().map(|(_, value)| value.to_str().unwrap()).collect();
        assert_eq!(values, expected, "{arguments:?}");
    }
}

proptest! {
    #[test]
    fn what_is_mirrored_passes_the_check(text in any::<String>(), number in any::<i64>(), flag in any::<bool>()) {
        let arguments = format!(r#"{{"s":{},"i":{number},"b":{flag}}}"#, json::quote(&text));
        let arguments = Raw::parse(arguments.as_bytes(), Limits::default()).unwrap();
        let params = headers_of(SCHEMA).unwrap();
        let headers: HeaderMap = param_header_values(&params, Some(arguments)).into_iter().collect();
        prop_assert_eq!(check_params(&headers, &params, Some(arguments)), Ok(()));
    }

    #[test]
    fn any_text_is_encoded_and_decoded(text in any::<String>()) {
        let value = encode_value(&text);
        let decoded = decode_value(value.as_bytes());
        prop_assert_eq!(decoded.as_deref(), Some(text.as_str()));
    }

    #[test]
    fn any_value_is_answered(value in prop::collection::vec(any::<u8>(), 0..60)) {
        if let Some(text) = decode_value(&value) {
            let encoded = encode_value(&text);
            let again = decode_value(encoded.as_bytes());
            prop_assert_eq!(again.as_deref(), Some(&*text));
        }
    }
}

fn code(headers: Headers<'_>, message: &Message) -> Outcome {
    validate(&map(headers), message).err().map(|error| error.code())
}

fn headers_of(schema: &str) -> Result<Vec<ParamHeader>, InvalidAnnotation> {
    param_headers(Raw::parse(schema.as_bytes(), Limits::default()).unwrap())
}

fn map(headers: Headers<'_>) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        (
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        )
    };
    headers.iter().map(pair).fold(HeaderMap::new(), |mut map, (name, value)| {
        map.append(name, value);
        map
    })
}

fn call(name: &str) -> Message {
    request(r#""method":"tools/call""#, &format!(r#"{META},"name":{name}"#))
}

fn request(method: &str, params: &str) -> Message {
    message(&format!(r#""id":1,{method},"params":{{{params}}}"#))
}

fn message(members: &str) -> Message {
    Message::parse(Bytes::from(format!(r#"{{"jsonrpc":"2.0",{members}}}"#)), Limits::default())
        .unwrap()
}
