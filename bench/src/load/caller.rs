//! One client that does the same thing again and again, and looks at every answer.

use anyhow::{Context as _, Result, ensure};
use memchr::memmem::Finder;

use super::connection::{Answer, Connection};
use super::message::{FIRST_NUMBER, Numbered};
use super::target::{LEGACY, Target};
use crate::payload::{Payload, SMALL};

/// What a client does once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// A modern call whose result has so many bytes of content.
    Call(usize),
    /// The same of a legacy client, whose session has been opened before.
    LegacyCall(usize),
    /// A modern `tools/list`, all pages of it.
    List,
    /// A legacy client comes and goes: initialize, initialized, tools/list, a call, and the end of
    /// its session.
    Arrive,
}

pub(crate) struct Caller {
    connection: Connection,
    target: Target,
    deed: Deed,
    request: Numbered,
    payload: Payload,
    tool: Finder<'static>,
    cursor: Finder<'static>,
}

impl Caller {
    pub(crate) async fn new(target: &Target, deed: Deed) -> Result<Self> {
        let mut connection = target.connect().await?;
        let (request, bytes) = match deed {
            Deed::Call(bytes) => (target.call(bytes), bytes),
            Deed::LegacyCall(bytes) => {
                let session = greet(&mut connection, target, FIRST_NUMBER).await?;
                (target.legacy_call(&session, bytes), bytes)
            }
            Deed::List => (target.modern("tools/list", None, ""), SMALL),
            Deed::Arrive => (Numbered::new(""), SMALL),
        };
        Ok(Self {
            connection,
            target: target.clone(),
            deed,
            request,
            payload: Payload::of(bytes),
            // Each tool has exactly one.
            tool: Finder::new(r#""inputSchema""#),
            cursor: Finder::new(r#""nextCursor":""#),
        })
    }

    /// Does it once. Numbers must differ from call to call.
    pub(crate) async fn once(&mut self, number: u64) -> Result<()> {
        match self.deed {
            Deed::Call(_) | Deed::LegacyCall(_) => {
                let answer = self.connection.exchange(self.request.with(number)).await?;
                is_result_of(&answer, number, &self.payload)
            }
            Deed::List => self.list(number).await,
            Deed::Arrive => self.arrive(number).await,
        }
    }

    async fn list(&mut self, number: u64) -> Result<()> {
        let answer = self.connection.exchange(self.request.with(number)).await?;
        is_answer(&answer, number)?;
        let mut tools = self.tool.find_iter(answer.body).count();
        let mut next = cursor(&self.cursor, answer.body);
        while let Some(cursor) = next {
            let params = format!(r#""cursor":"{cursor}""#);
            let mut request = self.target.modern("tools/list", None, &params);
            let answer = self.connection.exchange(request.with(number)).await?;
            is_answer(&answer, number)?;
            tools += self.tool.find_iter(answer.body).count();
            next = self::cursor(&self.cursor, answer.body);
        }
        let expected = self.target.tools;
        ensure!(tools == expected, "a list of {tools} tools and not {expected}");
        Ok(())
    }

    async fn arrive(&mut self, number: u64) -> Result<()> {
        let own = greet(&mut self.connection, &self.target, number).await?;
        let session = Some(own.as_str());

        let list = format!(r#"{{"jsonrpc":"2.0","id":{number},"method":"tools/list"}}"#);
        let request = self.target.legacy(session, &list);
        let answer = self.connection.exchange(request.as_bytes()).await?;
        is_answer(&answer, number)?;
        let (tools, expected) = (self.tool.find_iter(answer.body).count(), self.target.tools);
        ensure!(tools == expected, "a list of {tools} tools and not {expected}");

        let mut call = self.target.legacy_call(&own, SMALL);
        let answer = self.connection.exchange(call.with(number)).await?;
        is_result_of(&answer, number, &self.payload)?;

        // A gateway bounds how many sessions one app may leave behind.
        let request = self.target.leave(&own);
        let answer = self.connection.exchange(request.as_bytes()).await?;
        ensure!(matches!(answer.status, 200 | 202 | 204), "leaving: status {}", answer.status);
        Ok(())
    }
}

/// Opens a legacy session; its id.
pub(super) async fn greet(
    connection: &mut Connection,
    target: &Target,
    number: u64,
) -> Result<String> {
    let hello = format!(
        r#"{{"jsonrpc":"2.0","id":{number},"method":"initialize","params":{{"protocolVersion":"{LEGACY}","capabilities":{{}},"clientInfo":{{"name":"bench","version":"1.0.0"}}}}}}"#
    );
    let answer = connection.exchange(target.legacy(None, &hello).as_bytes()).await?;
    is_answer(&answer, number)?;
    let session = answer.session.context("no session")?;
    let ready = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let ready = target.legacy(Some(&session), ready);
    let answer = connection.exchange(ready.as_bytes()).await?;
    ensure!(answer.status == 202, "initialized: status {}", answer.status);
    Ok(session)
}

/// Our number, our nonce, and all of the content.
pub(super) fn is_result_of(answer: &Answer<'_>, number: u64, payload: &Payload) -> Result<()> {
    is_answer(answer, number)?;
    ensure!(payload.is_in(answer.body), "content was changed or lost: {}", shown(answer.body));
    let head = answer.body.get(..answer.body.len().min(HEAD)).unwrap_or_default();
    let nonce = format!("\"n-{number}\"");
    ensure!(
        memchr::memmem::find(head, nonce.as_bytes()).is_some(),
        "the answer of another call: {}",
        shown(answer.body)
    );
    Ok(())
}

fn is_answer(answer: &Answer<'_>, number: u64) -> Result<()> {
    let status = answer.status;
    ensure!(status == 200, "status {status}: {}", shown(answer.body));
    let id = format!("\"id\":{number}");
    // Members may come in any order, but a gateway does not put an id behind a megabyte.
    let head = answer.body.get(..answer.body.len().min(HEAD)).unwrap_or_default();
    let tail = answer.body.get(answer.body.len().saturating_sub(HEAD)..).unwrap_or_default();
    let is_there = [head, tail].iter().any(|at| memchr::memmem::find(at, id.as_bytes()).is_some());
    ensure!(is_there, "an answer without our id: {}", shown(answer.body));
    Ok(())
}

fn cursor(finder: &Finder<'_>, body: &[u8]) -> Option<String> {
    let at = finder.find(body)? + finder.needle().len();
    let rest = body.get(at..)?;
    let end = memchr::memchr(b'"', rest)?;
    Some(String::from_utf8_lossy(rest.get(..end)?).into_owned())
}

/// The beginning of a body, for people.
fn shown(body: &[u8]) -> String {
    String::from_utf8_lossy(body.get(..body.len().min(300)).unwrap_or_default()).into_owned()
}

/// Where id and nonce are looked for.
const HEAD: usize = 1024;
