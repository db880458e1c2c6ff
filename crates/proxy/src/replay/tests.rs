//! What is kept, for how long, and who gets it.

use std::time::Duration;

use bytes::Bytes;
use domain::AppId;
use futures::FutureExt;
use mcp::revision::Revision;
use mcp::sse;
use uuid::Uuid;

use super::ends::WINDOW;
use super::strand::{BYTES, EVENTS};
use super::*;

const OLD: Revision = Revision::V2025_06_18;

#[tokio::test(start_paused = true)]
async fn a_client_that_comes_back_gets_what_came_after_what_it_has() {
    let (_replays, replay) = session(1, OLD);
    let (writer, mut reader) = replay.open();
    tell(&writer, "a").await;
    tell(&writer, "b").await;
    let first = reader.next().await.unwrap();
    let (strand, event) = replay.find(id(&first)).unwrap();
    assert_eq!(first, format!("id: {}-{event}\ndata: a\n\n", strand.number));
    drop(reader);
    tell(&writer, "c").await;
    drop(writer);
    let mut reader = replay.resume(&strand, event);
    assert_eq!(rest(&mut reader).await, ["b", "c"]);
    assert_eq!(rest(&mut replay.resume(&strand, event)).await, ["b", "c"], "and once more");
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_waited_for_and_an_absent_one_is_not() {
    let (replays, replay) = session(1, OLD);
    let (writer, reader) = replay.open();
    let long = "x".repeat(WINDOW);
    tell(&writer, &long).await;
    let mut telling = Box::pin(tell(&writer, &long));
    assert!(telling.as_mut().now_or_never().is_none());
    let (strand, _) = (Arc::clone(&reader.strand), drop(reader));
    telling.await;
    for _ in 0..100 {
        tell(&writer, &long).await;
    }
    assert!(replays.bytes() <= BYTES);
    drop(writer);
    let told = rest(&mut replay.resume(&strand, 1)).await;
    assert!(told.len() < 20 && told.iter().all(|it| *it == long), "the newest are kept");
    for _ in 0..2 * EVENTS {
        let writer = Writer::begin(&strand, &replay);
        tell(&writer, "short").await;
    }
    assert!(strand.state.lock().kept.len() <= EVENTS);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_fit_is_told_once_and_something_instead_of_it_for_ever() {
    let (replays, replay) = session(1, OLD);
    let large = Bytes::from("x".repeat(BYTES + 1));
    let instead = Bytes::from_static(b"data: lost\n\n");
    for is_there in [true, false] {
        let (writer, reader) = replay.open();
        let strand = Arc::clone(&reader.strand);
        let reader = Some(reader).filter(|_| is_there);
        let body = vec![Bytes::from_static(b"data: "), large.clone(), Bytes::from_static(b"\n\n")];
        let event = Event { body, pass: None, instead: Some(&instead) };
        assert!(writer.tell(event).await.is_ok());
        drop(writer);
        if let Some(mut reader) = reader {
            assert_eq!(rest(&mut reader).await.concat().len(), large.len());
        }
        assert_eq!(rest(&mut replay.resume(&strand, 0)).await, ["lost"], "{is_there}");
        assert_eq!(replays.bytes(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_ends_with_its_time_its_session_and_its_room() {
    let (replays, replay) = session(1, OLD);
    let other = replays.of(app(2), OLD);
    for _ in 0..3 {
        let (writer, _) = replay.open();
        tell(&writer, &"x".repeat(BYTES / 2)).await;
    }
    let before = replays.bytes();
    assert!(3 * BYTES / 2 <= before);
    let (writer, mut reader) = other.open();
    tell(&writer, "one").await;
    drop(writer);
    assert_eq!(rest(&mut reader).await, ["one"]);
    assert!(before < replays.bytes());
    tokio::time::advance(KEPT + Duration::from_secs(1)).await;
    drop(reader);
    assert_eq!(replays.bytes(), 0, "all of it is over");
    for _ in 0..100 {
        let (writer, _) = replay.open();
        tell(&writer, &"x".repeat(BYTES / 2)).await;
    }
    assert!(replays.bytes() <= PER_SESSION);
    replay.close();
    assert_eq!(replays.bytes(), 0);
    assert!(replay.find("1-1").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_writer_learns_when_nobody_will_come_back() {
    let (_replays, replay) = session(1, OLD);
    let (writer, reader) = replay.open();
    assert!(writer.abandoned().now_or_never().is_none());
    let strand = Arc::clone(&reader.strand);
    drop(reader);
    assert!(writer.abandoned().now_or_never().is_none(), "not at once");
    let reader = replay.resume(&strand, 0);
    tokio::time::advance(2 * LINGER).await;
    assert!(writer.abandoned().now_or_never().is_none(), "not while somebody reads");
    drop(reader);
    writer.abandoned().await;
    assert!(writer.beat().is_err());
    // Too many of them are too many, and a session that ends ends them.
    let open: Vec<_> = (0..LINGERING_PER_APP + 1).map(|_| replay.open()).collect();
    let away: Vec<_> = open.into_iter().map(|(writer, _)| writer).collect();
    assert!(away.last().unwrap().abandoned().now_or_never().is_some());
    assert!(away.first().unwrap().abandoned().now_or_never().is_none());
    drop(away);
    let (writer, _) = replay.open();
    assert!(writer.abandoned().now_or_never().is_none(), "there is room again");
    replay.close();
    assert!(writer.abandoned().now_or_never().is_some());
    assert!(replay.linger().is_none());
}

#[tokio::test(start_paused = true)]
async fn one_stream_for_what_is_for_no_call_takes_the_place_of_another() {
    let (_replays, replay) = session(1, Revision::V2025_11_25);
    let (first, mut one) = replay.listen(None);
    assert!(one.next().await.unwrap().ends_with(b"retry: 1000\ndata: \n\n"));
    tell(&first, "a").await;
    assert_eq!(one.next().await.map(|it| data(&it)), Some("a".to_owned()));
    let (second, mut two) = replay.listen(None);
    assert!(first.abandoned().now_or_never().is_some());
    assert!(first.beat().is_err());
    drop(first);
    assert_eq!(one.next().await, None);
    drop(one);
    assert!(two.next().await.unwrap().starts_with(b"id: "));
    drop(two);
    for text in ["same", "same", "other", "same"] {
        let event = Event { body: vec![framed(text)], pass: None, instead: None };
        assert!(second.tell_once(event).await.is_ok());
    }
    let (third, mut three) = replay.listen(None);
    drop(second);
    third.beat().unwrap();
    assert_eq!(data(&three.next().await.unwrap()), "same");
    assert_eq!(data(&three.next().await.unwrap()), "other");
    assert!(three.next().await.unwrap().ends_with(b"data: \n\n"), "then what greets it");
    assert_eq!(three.next().await, Some(sse::KEEP_ALIVE));
    third.pause(70);
    assert!(three.next().await.unwrap().ends_with(b"retry: 70\ndata: \n\n"));
    assert_eq!(three.next().await, None);
}

#[test]
fn an_id_is_read_as_it_is_written() {
    let (_replays, replay) = session(1, OLD);
    let (_writer, reader) = replay.open();
    let number = reader.strand.number;
    reader.strand.prime(1);
    assert!(replay.find(&format!("{number}-1")).is_some());
    for wrong in ["", "-", "1", "x-1", "1-x", "1-1-1", "0-1", "1-0", "18446744073709551616-1"] {
        assert!(replay.find(wrong).is_none(), "{wrong}");
    }
    for wrong in ["2", "01", " 1", "1 ", "+1", "1_0", "18446744073709551615"] {
        assert!(replay.find(&format!("{number}-{wrong}")).is_none(), "{wrong}");
    }
}

fn app(number: u128) -> AppId {
    AppId(Uuid::from_u128(number))
}

fn session(number: u128, revision: Revision) -> (Arc<Replays>, Arc<Replay>) {
    let replays = Arc::<Replays>::default();
    let replay = replays.of(app(number), revision);
    (replays, replay)
}

fn framed(text: &str) -> Bytes {
    sse::event(text.as_bytes())
}

async fn tell(writer: &Writer, text: &str) {
    let event = Event { body: vec![framed(text)], pass: None, instead: None };
    assert!(writer.tell(event).await.is_ok());
}

fn id(event: &[u8]) -> &str {
    let line = event.split(|it| *it == b'\n').next().unwrap();
    std::str::from_utf8(line).unwrap().strip_prefix("id: ").unwrap()
}

fn data(event: &[u8]) -> String {
    let text = std::str::from_utf8(event).unwrap();
    text.lines().find_map(|it| it.strip_prefix("data: ")).unwrap_or_default().to_owned()
}

/// The data of what comes until the end; pieces of one event are joined.
async fn rest(reader: &mut Reader) -> Vec<String> {
    let mut text = Vec::new();
    while let Some(piece) = reader.next().await {
        text.extend_from_slice(&piece);
    }
    let text = String::from_utf8(text).unwrap();
    text.split_terminator("\n\n").map(|it| data(it.as_bytes())).collect()
}
