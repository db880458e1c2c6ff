//! Bytes that come in pieces: in which, makes no difference.

use std::fmt::Debug;

use bytes::Bytes;
use mcp::{sse, stdio};

const LIMIT: usize = 200;

/// The first byte says where to cut; the rest is the stream.
fn ways(bytes: &[u8]) -> Option<[Vec<&[u8]>; 3]> {
    let (at, stream) = bytes.split_first()?;
    let (one, other) = stream.split_at(usize::from(*at).min(stream.len()));
    Some([vec![stream], vec![one, other], stream.chunks(1).collect()])
}

fn all_the_same<T: PartialEq + Debug>(bytes: &[u8], read: impl Fn(&[&[u8]]) -> T) {
    let Some(ways) = ways(bytes) else { return };
    let [whole, halves, bytewise] = ways.map(|pieces| read(&pieces));
    assert_eq!(whole, halves, "in two pieces");
    assert_eq!(whole, bytewise, "byte by byte");
}

pub(crate) fn sse(bytes: &[u8]) {
    all_the_same(bytes, |pieces| {
        let mut decoder = sse::Decoder::new(LIMIT);
        let mut events = Vec::new();
        for piece in pieces {
            decoder.push(Bytes::copy_from_slice(piece));
            loop {
                match decoder.next_event() {
                    Ok(Some(event)) => {
                        assert!(event.data.len() <= LIMIT, "bounded");
                        events.push(event);
                    }
                    Ok(None) => break,
                    Err(error) => return (events, Some(error)),
                }
            }
        }
        (events, None)
    });
    // Whatever is said in an event stays in it.
    let mut decoder = sse::Decoder::new(usize::MAX);
    decoder.push(sse::event(bytes));
    let said = decoder.next_event().expect("ours is never too long");
    let same =
        |data: &[u8]| data.iter().filter(|it| !matches!(it, b'\r' | b'\n')).copied().collect();
    let expected: Vec<u8> = same(bytes);
    assert_eq!(said.map(|it| same(&it.data)).unwrap_or_default(), expected);
    assert_eq!(decoder.next_event(), Ok(None), "one event");
}

pub(crate) fn stdio(bytes: &[u8]) {
    all_the_same(bytes, |pieces| {
        let mut decoder = stdio::Decoder::new(LIMIT, LIMIT);
        let mut frames = Vec::new();
        for piece in pieces {
            decoder.push(Bytes::copy_from_slice(piece));
            loop {
                match decoder.next_frame() {
                    Ok(Some(frame)) => {
                        assert!(frame.len() <= LIMIT && !frame.contains(&b'\n'));
                        assert!(matches!(frame.first(), Some(b'{' | b'[')));
                        frames.push(frame);
                    }
                    Ok(None) => break,
                    Err(error) => return (frames, Some(error)),
                }
            }
        }
        (frames, None)
    });
    if let Ok(raw) = mcp::json::Raw::parse(bytes, mcp::json::Limits::default()) {
        let line = stdio::frame(bytes);
        assert!(line.ends_with(b"\n") && !line[..line.len() - 1].contains(&b'\n'), "one line");
        let again = mcp::json::Raw::parse(&line, mcp::json::Limits::default()).unwrap();
        assert_eq!(mcp::json::canonical(again), mcp::json::canonical(raw), "it says the same");
    }
}

/// What the listener reads before the HTTP library does.
pub(crate) fn http(bytes: &[u8]) {
    all_the_same(bytes, |pieces| {
        let (passed, rest) = ostiary::listener::fuzzing::read(pieces);
        assert!(passed <= pieces.iter().map(|it| it.len()).sum());
        (passed, rest)
    });
}
