//! What passes and what does not, in tables.

use super::super::refusal::Violation;
use super::framing::Rest;
use super::pieces::take;

#[test]
fn whatever_is_ambiguous_is_refused_for_its_reason() {
    use Violation as V;
    let cases: &[(&str, Violation)] = &[
        ("GET / HTTP/1.1\nhost: a\r\n\r\n", V::BareLineEnd),
        ("GET / HTTP/1.1\r\nhost: a\n\r\n", V::BareLineEnd),
        ("GET / HTTP/1.1\r\nhost: a\r\n\n", V::BareLineEnd),
        ("GET /\r\n", V::RequestLine),
        ("GET  / HTTP/1.1\r\n", V::RequestLine),
        ("GET / HTTP/1.1 \r\n", V::RequestLine),
        ("GET\t/ HTTP/1.1\r\n", V::RequestLine),
        (" GET / HTTP/1.1\r\n", V::RequestLine),
        ("\r\nGET / HTTP/1.1\r\n", V::RequestLine),
        ("get / HTTP/1.1\r\n", V::Method),
        ("\x16\x03\x01\x02", V::RequestLine),
        ("GET / HTTP/1.2\r\n", V::Version),
        ("GET / HTTP/2.0\r\n", V::Version),
        ("GET / HTTP/1.10\r\n", V::Version),
        ("GET / http/1.1\r\n", V::RequestLine),
        ("CONNECT a:1 HTTP/1.1\r\n", V::Method),
        ("TRACE / HTTP/1.1\r\n", V::Method),
        ("PRI * HTTP/2.0\r\n", V::Method),
        ("GET * HTTP/1.1\r\n", V::Target),
        ("GET a HTTP/1.1\r\n", V::Target),
        ("GET /a#b HTTP/1.1\r\n", V::Target),
        ("GET /\x7f HTTP/1.1\r\n", V::Target),
        ("GET /é HTTP/1.1\r\n", V::Target),
        ("GET ftp://a/ HTTP/1.1\r\n", V::Target),
        ("GET http://u@a/ HTTP/1.1\r\n", V::Target),
        ("GET http:///x HTTP/1.1\r\n", V::Target),
        ("GET / HTTP/1.1\r\nhost : a\r\n", V::HeaderName),
        ("GET / HTTP/1.1\r\n: a\r\n", V::HeaderName),
        ("GET / HTTP/1.1\r\nhost\r\n", V::HeaderName),
        ("GET / HTTP/1.1\r\na\0b: c\r\n", V::HeaderName),
        ("GET / HTTP/1.1\r\nmcp_name: c\r\n", V::TwinName),
        ("GET / HTTP/1.1\r\na: b\r\n c\r\n", V::FoldedLine),
        ("GET / HTTP/1.1\r\na: b\r\n\tc: d\r\n", V::FoldedLine),
        ("GET / HTTP/1.1\r\na: b\rc\r\n", V::HeaderValue),
        ("GET / HTTP/1.1\r\na: b\0c\r\n", V::HeaderValue),
        ("GET / HTTP/1.1\r\na: b\x0bc\r\n", V::HeaderValue),
        ("GET / HTTP/1.1\r\na: b\x7fc\r\n", V::HeaderValue),
        ("GET / HTTP/1.1\r\na: b\r\r\n", V::HeaderValue),
        ("GET / HTTP/1.1\r\n\r\n", V::HostMissing),
        ("GET / HTTP/1.1\r\nhost:\r\n", V::Host),
        ("GET / HTTP/1.1\r\nhost: a b\r\n", V::Host),
        ("GET / HTTP/1.1\r\nhost: a,b\r\n", V::Host),
        ("GET / HTTP/1.1\r\nhost: u@a\r\n", V::Host),
        ("GET / HTTP/1.1\r\nhost: a/b\r\n", V::Host),
        ("GET / HTTP/1.1\r\nhost: a:b\r\n", V::Host),
        ("GET / HTTP/1.1\r\nhost: a:1:2\r\n", V::Host),
        ("GET / HTTP/1.1\r\nhost: [::1\r\n", V::Host),
        ("GET / HTTP/1.1\r\nhost: [::1]a\r\n", V::Host),
        ("GET / HTTP/1.1\r\nhost: a\r\nHost: a\r\n", V::HostTwice),
        ("GET http://a/ HTTP/1.1\r\nhost: b\r\n\r\n", V::HostDisagrees),
        ("GET http://a:1/ HTTP/1.1\r\nhost: a\r\n\r\n", V::HostDisagrees),
        ("GET http://a?x HTTP/1.1\r\nhost: ax\r\n\r\n", V::HostDisagrees),
    ];
    for (head, violation) in cases {
        assert_eq!(refusal(head.as_bytes()), Some((1, *violation)), "{head:?}");
    }
}

#[test]
fn an_ambiguous_length_is_refused_for_its_reason() {
    use Violation as V;
    let cases: &[(&str, Violation)] = &[
        ("GET / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 1\r\n", V::LengthTwice),
        ("GET / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n", V::LengthTwice),
        ("GET / HTTP/1.1\r\ncontent-length: 5,5\r\n", V::Length),
        ("GET / HTTP/1.1\r\ncontent-length: +5\r\n", V::Length),
        ("GET / HTTP/1.1\r\ncontent-length: -0\r\n", V::Length),
        ("GET / HTTP/1.1\r\ncontent-length: 0x5\r\n", V::Length),
        ("GET / HTTP/1.1\r\ncontent-length:  5\r\n", V::Length),
        ("GET / HTTP/1.1\r\ncontent-length: 5 \r\n", V::Length),
        ("GET / HTTP/1.1\r\ncontent-length:\t5\r\n", V::Length),
        ("GET / HTTP/1.1\r\ncontent-length: \r\n", V::Length),
        ("GET / HTTP/1.1\r\ncontent-length: 18446744073709551616\r\n", V::Length),
        ("GET / HTTP/1.1\r\ntransfer-encoding: xchunked\r\n", V::Coding),
        ("GET / HTTP/1.1\r\ntransfer-encoding: Chunked\r\n", V::Coding),
        ("GET / HTTP/1.1\r\ntransfer-encoding: chunked, identity\r\n", V::Coding),
        ("GET / HTTP/1.1\r\ntransfer-encoding: identity\r\n", V::Coding),
        ("GET / HTTP/1.1\r\ntransfer-encoding:  chunked\r\n", V::Coding),
        ("GET / HTTP/1.1\r\ntransfer-encoding: \x0bchunked\r\n", V::HeaderValue),
        ("GET / HTTP/1.1\r\ntransfer-encoding: \"chunked\"\r\n", V::Coding),
        (
            "GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
            V::Coding,
        ),
        ("GET / HTTP/1.0\r\ntransfer-encoding: chunked\r\n", V::CodingOn10),
        (
            "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
            V::LengthAndCoding,
        ),
        (
            "GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 0\r\n\r\n",
            V::LengthAndCoding,
        ),
    ];
    for (head, violation) in cases {
        assert_eq!(refusal(head.as_bytes()), Some((1, *violation)), "{head:?}");
    }
}

#[test]
fn whatever_is_plain_passes_whole() {
    let cases = [
        "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET /a?b=c%20d HTTP/1.1\r\nHOST:a.b-c_d~:65535\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nhost:  [::1]:80\t\r\n\r\n",
        "GET http://A.b:80/x HTTP/1.1\r\nhost: a.B:80\r\n\r\n",
        "GET https://a HTTP/1.1\r\nhost: a\r\nx: \x61\t\u{e9}\r\ny:\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 003\r\n\r\nabc",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length:0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n\
         00A;x=\"y\"\r\n0123456789\r\n1\r\na\r\n000\r\nx-sum: 1\r\n\r\n\
         DELETE /b HTTP/1.1\r\nhost: a\r\n\r\n",
    ];
    for case in cases {
        for cut in 0..case.len() {
            let (passed, rest) = take(&[&case.as_bytes()[..cut], &case.as_bytes()[cut..]]);
            assert_eq!((passed, rest), (case.len(), Rest::Nothing), "{case:?} cut at {cut}");
        }
    }
}

#[test]
fn h005_a_chunk_with_any_doubt_about_its_size_is_refused() {
    use Violation as V;
    let cases = [
        ("+5\r\nhello\r\n", V::ChunkSize),
        ("-5\r\n", V::ChunkSize),
        ("0x5\r\nhello\r\n", V::ChunkSize),
        ("00000000000000005\r\nhello\r\n", V::ChunkSize),
        ("\r\n", V::ChunkSize),
        (" 5\r\n", V::ChunkSize),
        ("5 \r\n", V::ChunkSize),
        ("5\nhello\r\n", V::ChunkSize),
        ("5\r\r\n", V::ChunkSize),
        ("5;a\nhello\r\n", V::ChunkExtension),
        ("5;a\0b\r\n", V::ChunkExtension),
        ("5;a\tb\r\n", V::ChunkExtension),
        ("5;a\u{200b}b\r\n", V::ChunkExtension),
        ("5\r\nhello\n", V::ChunkEnd),
        ("5\r\nhelloX\r\n", V::ChunkEnd),
        ("5\r\nhello\rX", V::ChunkEnd),
        ("0\r\na: b\n", V::Trailer),
        ("0\r\na b: c\r\n", V::Trailer),
        ("0\r\n a: b\r\n", V::Trailer),
        ("0\r\ncontent-length: 3\r\n", V::Trailer),
        ("0\r\nTransfer-Encoding: chunked\r\n", V::Trailer),
        ("0\r\na: b\0\r\n", V::Trailer),
        ("0\r\n\n", V::Trailer),
        ("0\r\n\rGET", V::Trailer),
    ];
    let head = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    for (body, violation) in cases {
        // What follows a lone CR is only judged with its line.
        let bytes = format!("{head}{body}\n");
        assert_eq!(refusal(bytes.as_bytes()), Some((1, violation)), "{body:?}");
    }
}

#[test]
fn long_extensions_and_trailers_are_refused() {
    let head = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    let extension = format!("{head}5;{}\r\n", "x".repeat(300));
    assert_eq!(refusal(extension.as_bytes()), Some((1, Violation::ChunkExtension)));
    let trailer = format!("{head}0\r\nx: {}\r\n", "y".repeat(9000));
    assert_eq!(refusal(trailer.as_bytes()), Some((1, Violation::Trailer)));
    let trailers = format!("{head}0\r\n{}", "x: y\r\n".repeat(33));
    assert_eq!(refusal(trailers.as_bytes()), Some((1, Violation::Trailer)));
}

#[test]
fn limits_hold_to_the_byte() {
    let start = "GET / HTTP/1.1\r\nhost: a\r\n";
    let lines = |count: usize| format!("{start}{}\r\n", "x: y\r\n".repeat(count - 1));
    assert_eq!(refusal(lines(100).as_bytes()), None);
    assert_eq!(refusal(lines(101).as_bytes()), Some((1, Violation::TooManyHeaders)));

    let line = |bytes: usize| format!("{start}x: {}\r\n\r\n", "y".repeat(bytes - 3));
    assert_eq!(refusal(line(32 << 10).as_bytes()), None);
    assert_eq!(refusal(line((32 << 10) + 1).as_bytes()), Some((1, Violation::LineTooLong)));
    let unfinished = line(33 << 10).replace("\r\n\r\n", "");
    assert_eq!(refusal(unfinished.as_bytes()), Some((1, Violation::LineTooLong)));

    let head = |bytes: usize| {
        let line = format!("x: {}\r\n", "y".repeat(30 << 10));
        let end = bytes - start.len() - 2 * line.len() - "z: \r\n\r\n".len();
        format!("{start}{line}{line}z: {}\r\n\r\n", "z".repeat(end))
    };
    assert_eq!(head(64 << 10).len(), 64 << 10);
    assert_eq!(refusal(head(64 << 10).as_bytes()), None);
    assert_eq!(refusal(head((64 << 10) + 1).as_bytes()), Some((1, Violation::HeadTooLarge)));

    let target = format!("GET /{} HTTP/1.1\r\n", "x".repeat(32 << 10));
    assert_eq!(refusal(target.as_bytes()), Some((1, Violation::TargetTooLong)));
}
fn refusal(bytes: &[u8]) -> Option<(u64, Violation)> {
    let bytewise: Vec<_> = bytes.chunks(1).collect();
    let (passed, rest) = take(&[bytes]);
    assert_eq!(take(&bytewise), (passed, take(&[bytes]).1), "{:?}", String::from_utf8_lossy(bytes));
    match rest {
        Rest::Refused(number, violation) => Some((number, violation)),
        _ => None,
    }
}
