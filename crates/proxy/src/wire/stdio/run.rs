//! The task that owns a managed server.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mcp::envelope::{EnvelopeError, Message, MessageKind};
use mcp::json::{Limits, Raw};
use mcp::stdio::{Decoder, FrameError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::process::{Family, Pipes, Process};
use super::{ChildLimits, Hold, Shared};
use crate::wire::error::{Wait, WireError};

/// What waits to be written.
pub(super) enum Item {
    /// The frame of this call, if the call still wants it.
    Call(u64),
    /// A frame that belongs to no call.
    Line(Bytes, Option<Box<dyn Hold>>),
}

pub(super) struct Owner {
    pub(super) shared: Arc<Shared>,
    pub(super) frames: mpsc::Receiver<Item>,
    pub(super) events: mpsc::Sender<Bytes>,
    pub(super) limits: ChildLimits,
}

/// Why the server is no longer served.
enum End {
    /// We want it to end.
    Wanted,
    /// It ended by itself; in words.
    Exited(String),
    /// It closed a stream, which is what a dying process does first.
    Hung(WireError),
    /// It broke the rules.
    Faulty(WireError),
}

impl Owner {
    pub(super) async fn run(self, (mut process, pipes): (Process, Pipes)) {
        let Self { shared, frames, events, limits } = self;
        let (end, family) = serve(&shared, &mut process, pipes, (frames, events), limits).await;
        let (error, grace) = match end {
            End::Wanted => (closed("the server was stopped"), limits.stop),
            End::Exited(reason) => (WireError::Closed { reason }, Duration::ZERO),
            End::Hung(error) => (error, limits.stop),
            End::Faulty(error) => (error, Duration::ZERO),
        };
        tracing::debug!(%error, "a managed server ends");
        shared.calls.end(&error);
        *shared.said.lock() = None;
        *shared.asked.lock() = None;
        process.end(grace, family).await;
    }
}

type Queues = (mpsc::Receiver<Item>, mpsc::Sender<Bytes>);

/// Passes messages until there is a reason not to. Its streams are closed on return, after its
/// family has been noted.
async fn serve(
    shared: &Shared,
    process: &mut Process,
    pipes: Pipes,
    (frames, events): Queues,
    limits: ChildLimits,
) -> (End, Family) {
    let mut reader = Reader { shared, events, limits, noise: 0 };
    let mut write = pin!(write(shared, pipes.stdin, frames, limits.write));
    let mut read = pin!(reader.read(pipes.stdout));
    let mut keep = pin!(keep(shared, pipes.stderr));
    let mut is_kept = false;
    let end = loop {
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => break End::Wanted,
            end = &mut read => break end,
            end = &mut write => break end,
            status = process.wait() => break End::Exited(status),
            // A server may close its standard error and live on.
            () = &mut keep, if !is_kept => is_kept = true,
        }
    };
    // Last words explain an end, and may be the answers to the last calls.
    let keep = async {
        if !is_kept {
            keep.await;
        }
    };
    let family = process.family();
    let end = match end {
        End::Exited(status) => {
            drop(timeout(LAST_WORDS, futures::future::join(read, keep)).await);
            End::Exited(status)
        }
        End::Hung(error) => match timeout(LAST_WORDS, process.wait()).await {
            Ok(status) => {
                drop(timeout(LAST_WORDS, keep).await);
                End::Exited(status)
            }
            Err(_) => End::Hung(error),
        },
        end => end,
    };
    (end, family)
}

/// Long enough to read what is in the pipes already.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Writes what is queued, one whole line after the other.
async fn write(
    shared: &Shared,
    mut stdin: ChildStdin,
    mut frames: mpsc::Receiver<Item>,
    limit: Duration,
) -> End {
    while let Some(item) = frames.recv().await {
        let (frame, hold, call) = match item {
            Item::Line(frame, hold) => (vec![frame], hold, None),
            Item::Call(id) => match shared.calls.begin_write(id) {
                Some((frame, hold)) => (frame, Some(hold), Some(id)),
                None => continue,
            },
        };
        if hold.as_ref().is_some_and(|it| !it.is_open()) {
            if let Some(id) = call {
                shared.calls.fail(id, closed("the call was ended before it was sent"));
            }
            continue;
        }
        match timeout(limit, write_line(&mut stdin, frame)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return End::Hung(closed(&error.to_string())),
            Err(_) => return End::Faulty(WireError::Timeout { what: Wait::Write, limit }),
        }
        drop(hold);
    }
    End::Wanted
}

async fn write_line(stdin: &mut ChildStdin, frame: Vec<Bytes>) -> io::Result<()> {
    let length: usize = frame.iter().map(Bytes::len).sum();
    if length < SMALL {
        let mut line = Vec::with_capacity(length + 1);
        for piece in frame {
            line.extend_from_slice(&on_one_line(piece));
        }
        line.push(b'\n');
        return stdin.write_all(&line).await;
    }
    for piece in frame {
        stdin.write_all(&on_one_line(piece)).await?;
    }
    stdin.write_all(b"\n").await
}

/// Up to here copying is cheaper than another system call.
const SMALL: usize = 16 << 10;

/// In valid JSON a line end can only stand between tokens, where a blank means the same. Left as
/// it is, it would end the frame, and what follows would be read as a message of its own.
fn on_one_line(piece: Bytes) -> Bytes {
    if memchr::memchr2(b'\n', b'\r', &piece).is_none() {
        return piece;
    }
    let blank = |byte: &u8| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte };
    piece.iter().map(blank).collect()
}

/// Reads standard error to its end, so that the server never waits for us.
async fn keep(shared: &Shared, mut stderr: ChildStderr) {
    let mut chunk = vec![0; 8 << 10];
    while let Ok(read @ 1..) = stderr.read(&mut chunk).await {
        shared.tail.push(chunk.get(..read).unwrap_or_default());
    }
}

struct Reader<'a> {
    shared: &'a Shared,
    events: mpsc::Sender<Bytes>,
    limits: ChildLimits,
    /// Bytes since the last message that look like JSON and are no message.
    noise: usize,
}

impl Reader<'_> {
    async fn read(&mut self, mut stdout: ChildStdout) -> End {
        let mut decoder = Decoder::new(self.limits.frame_bytes, self.limits.noise_bytes);
        let mut chunk = BytesMut::new();
        loop {
            chunk.reserve(CHUNK);
            match stdout.read_buf(&mut chunk).await {
                Ok(0) => return End::Hung(closed("the server closed its output")),
                Ok(_) => decoder.push(chunk.split().freeze()),
                Err(error) => return End::Hung(closed(&error.to_string())),
            }
            loop {
                match decoder.next_frame() {
                    Ok(Some(frame)) => {
                        if let Err(error) = self.pass(frame).await {
                            return End::Faulty(error);
                        }
                    }
                    Ok(None) => break,
                    Err(FrameError::TooLong { .. }) => return End::Faulty(LONG_LINE),
                    Err(FrameError::Noise { .. }) => return End::Faulty(NOISE),
                }
            }
        }
    }

    /// To the call it belongs to, or to the events.
    async fn pass(&mut self, frame: Bytes) -> Result<(), WireError> {
        let length = frame.len();
        let messages = match Message::parse(frame.clone(), Limits::default()) {
            Ok(message) => vec![message],
            Err(EnvelopeError::Batch) => {
                Message::parse_batch(&frame, Limits::default(), BATCH).unwrap_or_default()
            }
            Err(_) => Vec::new(),
        };
        if messages.is_empty() {
            tracing::debug!(
                line.bytes = length,
                "a managed server wrote a line that is no message"
            );
            self.noise = self.noise.saturating_add(length);
            return if self.noise > self.limits.noise_bytes { Err(NOISE) } else { Ok(()) };
        }
        self.noise = 0;
        for message in messages {
            self.route(message).await?;
        }
        Ok(())
    }

    async fn route(&self, message: Message) -> Result<(), WireError> {
        let calls = &self.shared.calls;
        match message.kind() {
            MessageKind::Response | MessageKind::Error => {
                let id = message.id().and_then(Raw::u64);
                let body = message.body().clone();
                if !id.is_some_and(|id| calls.answer(id, body)) {
                    tracing::debug!("a managed server answered a call that nobody waits for");
                }
                Ok(())
            }
            MessageKind::Notification if message.method() == "notifications/progress" => {
                let token = message.params().and_then(|params| params.get("progressToken"));
                if let Some(id) = token.and_then(Raw::u64) {
                    calls.progress(id, message.body().clone());
                }
                Ok(())
            }
            MessageKind::Notification | MessageKind::Request => {
                let is_request = message.kind() == MessageKind::Request;
                let ears = if is_request { &self.shared.asked } else { &self.shared.said };
                let heard = ears.lock().as_ref().map(|it| it.send(message.body().clone()));
                // Mostly nobody listens. A question is answered once, so it goes to one of both.
                if is_request && matches!(heard, Some(Ok(_))) {
                    return Ok(());
                }
                self.announce(message.body().clone()).await
            }
        }
    }

    async fn announce(&self, event: Bytes) -> Result<(), WireError> {
        match timeout(self.limits.write, self.events.send(event)).await {
            // Nobody listens any more, which is for them to decide.
            Ok(Ok(()) | Err(_)) => Ok(()),
            Err(_) => Err(WireError::Faulty { reason: "it sends more than can be taken" }),
        }
    }
}

const CHUNK: usize = 8 << 10;

/// Messages in one array.
const BATCH: usize = 100;

const NOISE: WireError =
    WireError::Faulty { reason: "it writes what is no message to its standard output" };

const LONG_LINE: WireError =
    WireError::Faulty { reason: "it writes a line that is longer than any message may be" };

fn closed(reason: &str) -> WireError {
    WireError::Closed { reason: reason.to_owned() }
}
