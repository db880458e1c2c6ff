//! Smuggling and other doubts about where a request ends, each by its number in the list of
//! hostile cases.

use tokio::io::AsyncWriteExt;

use super::door::{self, Door, answer, hear};

#[tokio::test]
async fn h001_both_length_and_coding_are_refused() {
    let all = [
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n\
         0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n\
         0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n",
    ];
    refused(400, &all).await;
}

#[tokio::test]
async fn h002_two_lengths_are_refused_even_if_equal() {
    let with = |first: &str, second: &str| {
        format!("POST / HTTP/1.1\r\nhost: a\r\n{first}\r\n{second}\r\n\r\nhello")
    };
    let all = [
        with("content-length: 5", "content-length: 6"),
        with("content-length: 5", "content-length: 5"),
        with("content-length: 5", "CONTENT-LENGTH: 5"),
        with("content-length: 5,5", "x: y"),
    ];
    refused(400, &all).await;
}

#[tokio::test]
async fn h003_a_length_that_is_no_plain_number_is_refused() {
    let all = ["+5", "0x5", " 5", "5,5", "-0", "-5", "5 ", "5a", "", "18446744073709551616"].map(
        |length| format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\nhello"),
    );
    refused(400, &all).await;
}

#[tokio::test]
async fn h004_a_coding_that_is_not_exactly_chunked_is_refused() {
    let codings = [
        "xchunked",
        "chunked, identity",
        "chunked,chunked",
        " chunked",
        "\x0bchunked",
        "chunked ",
        "Chunked",
        "gzip, chunked",
        "identity",
        "",
    ];
    let all = codings.map(|coding| {
        format!("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: {coding}\r\n\r\n0\r\n\r\n")
    });
    refused(400, &all).await;
}

#[tokio::test]
async fn h005_a_doubtful_chunk_size_is_refused() {
    let bodies = [
        "+5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "00000000000000005\r\nhello\r\n0\r\n\r\n",
        "5;a\u{200b}\r\nhello\r\n0\r\n\r\n",
        "5;\x01\r\nhello\r\n0\r\n\r\n",
        "5\nhello\n0\n\n",
        "5\r\nhello0\r\n\r\n",
    ];
    let all = bodies.map(|body| {
        format!("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{body}")
    });
    refused(400, &all).await;
}

#[tokio::test]
async fn h006_chunks_before_their_time_are_refused() {
    let all = ["POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"];
    refused(400, &all).await;
}

#[tokio::test]
async fn h007_nothing_is_read_after_a_wish_for_another_protocol() {
    let door = door::open(|_| {}).await;
    let heard = door
        .talk(
            "GET /1 HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: foo\r\n\r\n\
             GET /2 HTTP/1.1\r\nhost: a\r\n\r\n",
        )
        .await;
    assert!(heard.starts_with("HTTP/1.1 200 OK") && heard.ends_with("GET /1 0"), "{heard}");
    assert_eq!(door.targets(), ["/1"]);
    door.end().await;
}

#[tokio::test]
async fn h008_bytes_beyond_a_body_are_a_request_of_their_own() {
    let door = door::open(|_| {}).await;
    let first = "POST /1 HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc";
    let last = "GET /2 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let heard = door.talk(format!("{first}{last}")).await;
    assert!(heard.contains("POST /1 3") && heard.ends_with("GET /2 0"), "{heard}");

    let heard = door.talk(format!("{first}xyz{last}")).await;
    assert!(heard.contains("POST /1 3"), "{heard}");
    assert!(heard.contains("HTTP/1.1 405 "), "{heard}");
    assert_eq!(door.targets(), ["/1", "/2", "/1"]);
    door.end().await;
}

#[tokio::test]
async fn h009_an_early_refusal_is_heard_and_its_body_is_never_a_request() {
    let door = door::open(|_| {}).await;
    let decoy = "GET /decoy HTTP/1.1\r\nhost: a\r\n\r\n";
    for size in [decoy.len(), 300_000, 900_000] {
        let body = decoy.repeat(size / decoy.len());
        let head =
            format!("POST /early HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", body.len());
        let last = "GET /last HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        let heard = door.talk(format!("{head}{body}{last}")).await;
        assert!(heard.starts_with("HTTP/1.1 413 "), "{heard}");
    }
    assert!(!door.targets().contains(&"/decoy".to_owned()));
    door.end().await;
}

#[tokio::test]
async fn h010_folded_lines_and_bare_line_ends_are_refused() {
    let all = ["a: b\r\n c", "a: b\r\n\tc", "a: b\0c", "a: b\rc", "a: b\nc: d", "a\0: b"]
        .map(|lines| format!("GET / HTTP/1.1\r\nhost: a\r\n{lines}\r\n\r\n"));
    refused(400, &all).await;
    refused(400, &["GET / HTTP/1.1\nhost: a\n\n", "GET / HTTP/1.1\r\nhost: a\n\r\n"]).await;
}

#[tokio::test]
async fn h011_a_name_with_a_twin_is_refused() {
    let all = ["Mcp_Name: a", "mcp-name: a\r\nmcp_name: b", "content_length: 5"]
        .map(|lines| format!("GET / HTTP/1.1\r\nhost: a\r\n{lines}\r\n\r\n"));
    refused(400, &all).await;
}

#[tokio::test]
async fn h012_too_many_or_too_large_headers_are_refused() {
    let with = |lines: String| format!("GET / HTTP/1.1\r\nhost: a\r\n{lines}\r\n");
    let all = [
        with("x: y\r\n".repeat(100)),
        with(format!("x: {}\r\n", "y".repeat(16_000)).repeat(5)),
        with(format!("x: {}\r\n", "y".repeat(33 << 10))),
    ];
    refused(431, &all).await;

    let door = door::open(|_| {}).await;
    let most = [
        with("x: y\r\n".repeat(98) + "connection: close\r\n"),
        with(format!("x: {}\r\n", "y".repeat(16_000)).repeat(4) + "connection: close\r\n"),
    ];
    for request in most {
        let heard = door.talk(request).await;
        assert!(heard.starts_with("HTTP/1.1 200 "), "{heard}");
    }
    door.end().await;
}

#[tokio::test]
async fn h013_a_doubtful_host_is_refused() {
    let all = [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nHost: b\r\n\r\n",
        "GET http://b/ HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET http://a@b/ HTTP/1.1\r\nhost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a, b\r\n\r\n",
    ];
    refused(400, &all).await;
}

#[tokio::test]
async fn h014_foreign_methods_and_old_forms_are_refused() {
    let all = [
        "CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n",
        "TRACE / HTTP/1.1\r\nhost: a\r\n\r\n",
        "BREW / HTTP/1.1\r\nhost: a\r\n\r\n",
        "get / HTTP/1.1\r\nhost: a\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ];
    refused(405, &all).await;
    refused(400, &["GET /\r\n", "GET / HTTP/0.9\r\n\r\n", "\x16\x03\x01\x02\x00\x01", "\r\n"])
        .await;
}

#[tokio::test]
async fn h016_the_peer_is_the_sockets_whatever_headers_say() {
    let door = door::open(|_| {}).await;
    let heard = door
        .talk(
            "GET /peer HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 10.0.0.1\r\n\
             forwarded: for=10.0.0.1\r\nx-real-ip: 10.0.0.1\r\nconnection: close\r\n\r\n",
        )
        .await;
    assert!(heard.ends_with("127.0.0.1"), "{heard}");
    let proxied = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\0\0\x01\x0a\0\0\x02\0\x50\0\x50\
                   GET /peer HTTP/1.1\r\nhost: a\r\n\r\n";
    assert!(door.talk(proxied).await.starts_with("HTTP/1.1 400 "));
    assert!(door.talk("PROXY TCP4 10.0.0.1 10.0.0.2 80 80\r\n").await.starts_with("HTTP/1.1 400 "));
    assert_eq!(door.targets(), ["/peer"]);
    door.end().await;
}

#[tokio::test]
async fn answers_before_a_refusal_come_whole_and_in_order() {
    let door = door::open(|_| {}).await;
    let good = "GET /big HTTP/1.1\r\nhost: a\r\n\r\nGET /2 HTTP/1.1\r\nhost: a\r\n\r\n";
    let heard = door.talk(format!("{good}GET /3 HTTP/1.1\r\n\r\n")).await;
    assert!(heard.len() > door::BIG);
    let end = heard.rsplit("...").next().unwrap();
    assert!(end.contains("HTTP/1.1 200 OK") && end.contains("GET /2 0HTTP/1.1 400 "), "{end}");
    assert!(end.contains("connection: close\r\n"), "{end}");
    assert!(end.contains("content-type: application/problem+json\r\n"), "{end}");
    assert!(end.ends_with("}"), "{end}");
    assert_eq!(door.targets(), ["/big", "/2"]);
    door.end().await;
}

#[tokio::test]
async fn one_connection_serves_many_requests_of_any_framing() {
    let door = door::open(|_| {}).await;
    let mut stream = door.connect().await;
    let steps = [
        ("GET /1 HTTP/1.1\r\nhost: a\r\n\r\n", "GET /1 0"),
        ("POST /2 HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello", "POST /2 5"),
        (
            "PUT /3 HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n\
             3;a=b\r\nabc\r\nA\r\n0123456789\r\n0\r\nx-sum: 1\r\n\r\n",
            "PUT /3 13",
        ),
        ("DELETE /4 HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n", "DELETE /4 0"),
        ("POST http://a/5 HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\n.", "POST /5 1"),
    ];
    for (words, expected) in steps {
        for byte in words.as_bytes().chunks(7) {
            stream.write_all(byte).await.unwrap();
        }
        let heard = answer(&mut stream).await;
        assert!(heard.starts_with("HTTP/1.1 200 OK") && heard.ends_with(expected), "{heard}");
    }
    drop(stream);

    let heard = door.talk("GET /6 HTTP/1.0\r\n\r\n").await;
    assert!(heard.starts_with("HTTP/1.0 200 OK") && heard.ends_with("GET /6 0"), "{heard}");
    door.end().await;
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_to_go_on() {
    let door = door::open(|_| {}).await;
    let mut stream = door.connect().await;
    let head = "POST /1 HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\
                connection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(answer(&mut stream).await, "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hi").await.unwrap();
    assert!(hear(&mut stream).await.ends_with("POST /1 2"));
    door.end().await;
}

/// Each of the requests gets the status alone, as the last word of its connection, and the
/// application sees none of them whole.
async fn refused(status: u16, requests: &[impl AsRef<[u8]>]) {
    let door = door::open(|_| {}).await;
    for request in requests {
        let words = String::from_utf8_lossy(request.as_ref());
        let heard = door.talk(request).await;
        assert!(heard.starts_with(&format!("HTTP/1.1 {status} ")), "{words:?}: {heard}");
        let answers = heard.matches(&format!("HTTP/1.1 {status} ")).count();
        assert_eq!((answers, heard.matches(" 200 OK").count()), (1, 0), "{words:?}: {heard}");
        assert!(heard.contains("connection: close\r\n"), "{words:?}: {heard}");
        assert_eq!(door.targets(), [""; 0], "{words:?}");
    }
    still_serves(&door).await;
    door.end().await;
}

async fn still_serves(door: &Door) {
    let heard = door.talk("GET /ok HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(heard.ends_with("GET /ok 0"), "{heard}");
}
