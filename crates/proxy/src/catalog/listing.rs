//! What one server has listed.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use domain::{Described, EraSetting, Review, Server, Transport};
use http::{HeaderMap, HeaderValue};
use mcp::bridge::askable::Askable;
use mcp::convert::CacheHints;
use mcp::envelope::Message;
use mcp::errors::{self, METHOD_NOT_FOUND};
use mcp::extensions;
use mcp::headers::{MCP_METHOD, ParamHeader, param_headers};
use mcp::json::{Raw, quote};
use mcp::meta;
use mcp::names;
use mcp::revision::{self, Era};

use super::{Definition, FAILED, FRESH, Instructions, List, Look};
use crate::authorize::Pass;
use crate::link::{Channel, Letter, Link, final_answer, our_info};
use crate::refusal::{Refusal, UpstreamError};
use crate::serve::Worker;

/// Everything that one server offers under one credential, in one era.
pub(crate) struct Listing {
    pub(crate) tools: Vec<Offer>,
    pub(crate) prompts: Vec<Offer>,
    pub(crate) resources: Vec<Offer>,
    pub(crate) templates: Vec<Offer>,
    /// Whether these are all of its templates, as far as one can know.
    has_all_templates: bool,
    /// The server's `capabilities` object.
    pub(crate) capabilities: Bytes,
    pub(crate) instructions: Option<Instructions>,
    pub(crate) info: Option<Bytes>,
    /// Why nothing could be listed.
    pub(crate) error: Option<String>,
    /// The era in which the server was spoken to, which may differ from the client's.
    pub(crate) spoken: Era,
    /// Of which server as it was configured, and whether its definitions were told of.
    of: Option<(Transport, EraSetting, bool)>,
    fetched: Duration,
    fresh_for: Duration,
    /// For how long its server lets it be kept, which is not for us alone to follow.
    hinted: Duration,
}

/// One thing on offer, as its server describes it.
pub(crate) struct Offer {
    /// The server's own name; of a resource its URI, of a template its URI template.
    pub(crate) name: Box<str>,
    /// The whole object.
    pub(crate) raw: Bytes,
    pub(crate) definition: Arc<Definition>,
    /// Arguments that must also be given as headers.
    pub(crate) headers: Vec<ParamHeader>,
    /// Whether it is there for apps of its server and not for models.
    pub(crate) for_apps: bool,
    /// Whether it can be called for a task of revision 2025-11-25 alone.
    pub(crate) needs_task: bool,
    /// Whether it can be called for one.
    pub(crate) takes_task: bool,
}

/// How much one server may list, in bytes.
const MOST_BYTES: usize = 16 << 20;

/// How long a client is told to keep a list at most, in milliseconds, whatever its server says: what
/// it may see can change without its server.
const MOST_HINTED: u64 = 30_000;

/// How long a listing is served at least, so that no call asks for one of its own.
const SHORTEST: Duration = Duration::from_secs(1);

/// The longest text of a template, in bytes. It is what a template goes by, in decisions and in
/// lists of them.
const LONGEST_TEMPLATE: usize = 4 << 10;

/// The largest number of offers of one kind, and of pages that they may come in.
const MOST_OFFERS: usize = 20_000;
const MOST_PAGES: usize = 200;

impl Listing {
    /// When, on the clock that counts up.
    pub(super) fn fetched(&self) -> Duration {
        self.fetched
    }

    /// Nothing, for a reason of our own.
    pub(crate) fn unavailable(why: &str) -> Self {
        Self {
            tools: Vec::new(),
            prompts: Vec::new(),
            resources: Vec::new(),
            templates: Vec::new(),
            has_all_templates: false,
            capabilities: Bytes::from_static(b"{}"),
            instructions: None,
            info: None,
            error: Some(why.to_owned()),
            spoken: Era::Modern,
            of: None,
            fetched: Duration::ZERO,
            fresh_for: Duration::ZERO,
            hinted: Duration::ZERO,
        }
    }

    /// Nothing, since the server has failed. It is left alone for as long as failing took it, so
    /// that a slow one does not keep somebody waiting all the time.
    pub(super) fn failed(
        server: &Server,
        error: &UpstreamError,
        (began, ended): (Duration, Duration),
    ) -> Self {
        Self {
            fetched: ended,
            fresh_for: ended.saturating_sub(began).max(FAILED),
            ..Self::unavailable(&error.to_string()).of(server)
        }
    }

    fn of(mut self, server: &Server) -> Self {
        self.of = Some((server.transport.clone(), server.era, server.review.is_on()));
        self
    }

    pub(super) fn is_of(&self, server: &Server) -> bool {
        self.of.as_ref().is_some_and(|(transport, era, is_told)| {
            *transport == server.transport
                && *era == server.era
                && (*is_told || !server.review.is_on())
        })
    }

    /// Whether a URI is described so: by itself where it is listed, else by a template that makes
    /// it, else by its name alone.
    pub(crate) fn describes(
        &self,
        review: &Review,
        uri: &str,
        is_so: impl Fn(&Described) -> bool,
    ) -> bool {
        if let Some(listed) = self.resources.iter().find(|it| *it.name == *uri) {
            return is_so(&listed.definition.described);
        }
        let makes =
            |it: &&Offer| names::may_make(&it.name, uri) && review.admits(it.definition.pin);
        let mut templates = self.templates.iter().filter(makes).peekable();
        if templates.peek().is_none() {
            if !self.has_all_templates {
                return false;
            }
            return is_so(&Described { name: uri.into(), ..Described::default() });
        }
        templates.any(|it| is_so(&it.definition.described))
    }

    /// Whether a URI leads to nothing that waits for approval.
    pub(crate) fn may_be_read(&self, review: &Review, uri: &str) -> bool {
        let is_admitted = |it: &&Offer| review.admits(it.definition.pin);
        let is_made = |it: &Offer| names::may_make(&it.name, uri);
        self.error.is_none()
            && (self.has_all_templates && self.templates.iter().all(|it| is_admitted(&it))
                || self.resources.iter().any(|it| *it.name == *uri)
                || self.templates.iter().filter(is_admitted).any(is_made))
    }

    /// The template of this very text.
    pub(crate) fn template(&self, text: &str) -> Option<&Offer> {
        self.templates.iter().find(|it| *it.name == *text)
    }

    /// Its server has said while it was fetched that its lists have changed. It is asked again
    /// shortly, and not at once, since it may say so all the time.
    pub(super) fn is_overtaken(&mut self) {
        self.fresh_for = self.fresh_for.min(SHORTEST);
        self.hinted = Duration::ZERO;
    }

    pub(super) fn is_fresh(&self, now: Duration) -> bool {
        now < self.fetched + self.fresh_for
    }

    /// How much longer this may be kept by whoever asks for it. Not at all, where its server has not
    /// said so: what is served from here is quick to be had again.
    pub(super) fn kept_for(&self, now: Duration) -> Duration {
        match self.error {
            Some(_) => Duration::ZERO,
            None => (self.fetched + self.hinted).saturating_sub(now),
        }
    }

    /// Whether a view of one is a view of the other: two failures differ in what they say only.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        std::ptr::eq(self, other) || self.error.is_some() && self.error == other.error
    }
}

/// Asks a server for everything.
pub(super) async fn fetch(
    worker: &Arc<Worker>,
    pass: &Pass,
    server: &Arc<Server>,
    look: &Look<'_>,
) -> Result<Listing, Refusal> {
    let link = worker.proxy.links.to(worker, server)?;
    let era = link.era(worker, pass, look.era).await?;
    match (fetch_in(look, pass, &link, era).await, era) {
        // This side turned out not to be there; the other one may be.
        (Err(Refusal::Upstream { source: UpstreamError::Era, .. }), Era::Legacy)
            if server.era == EraSetting::Auto =>
        {
            fetch_in(look, pass, &link, Era::Modern).await
        }
        (Err(Refusal::Upstream { source: UpstreamError::Era, .. }), Era::Modern)
            if server.era == EraSetting::Auto =>
        {
            link.forget_modern(pass);
            fetch_in(look, pass, &link, Era::Legacy).await
        }
        (fetched, _) => fetched,
    }
}

async fn fetch_in(
    look: &Look<'_>,
    pass: &Pass,
    link: &Arc<Link>,
    era: Era,
) -> Result<Listing, Refusal> {
    let worker = look.worker;
    let askable = pass.assignment().map_or(look.askable, |it| look.askable_by(&it.server));
    let mut lease = None;
    let channel = match era {
        Era::Modern => {
            let hello = link.discover(worker, pass).await?;
            Channel::Modern(hello.ok_or_else(|| link.refuse(UpstreamError::Era))?)
        }
        // Some servers list a tool that asks something only to those who can be asked it.
        Era::Legacy if !askable.is_nothing() && (look.era == Era::Modern || link.is_managed()) => {
            let leased = lease.insert(link.lease(worker, pass, askable, look.peer).await?);
            Channel::Legacy(Arc::clone(leased.session()))
        }
        Era::Legacy => Channel::Legacy(link.plain_session(worker, pass, (None, askable)).await?),
    };
    let hello = match &channel {
        Channel::Modern(hello) => hello.as_ref(),
        Channel::Legacy(session) => &session.hello,
    };
    let capabilities = Raw::parse(&hello.capabilities, mcp::json::Limits::default()).ok();
    let has = |kind: &str| capabilities.is_some_and(|it| it.get(kind).is_some());
    let hint = if era == Era::Modern { MOST_HINTED } else { 0 };
    let mut asking = Asking {
        worker,
        pass,
        link,
        channel: &channel,
        askable,
        ttl: FRESH,
        hint,
        bytes: 0,
        is_unknown: false,
    };
    let tools = if has("tools") { asking.all("tools/list", "tools").await?.0 } else { Vec::new() };
    let prompts =
        if has("prompts") { asking.all("prompts/list", "prompts").await?.0 } else { Vec::new() };
    let (mut resources, mut templates) = (Vec::new(), (Vec::new(), true));
    if has("resources") {
        (resources, _) = asking.all("resources/list", "resources").await?;
        templates = asking.templates().await;
    }
    let (templates, is_whole) = templates;
    let listed = templates.len();
    let templates = offers(templates, List::Templates);
    if let Some(lease) = &mut lease {
        lease.settle();
    }
    let fetched = worker.proxy.clock.elapsed();
    link.succeeded(fetched);
    let listing = Listing {
        tools: offers(tools, List::Tools),
        prompts: offers(prompts, List::Prompts),
        resources: offers(resources, List::Resources),
        // One that cannot be used may still make what is asked for.
        has_all_templates: is_whole && templates.len() == listed,
        templates,
        capabilities: hello.capabilities.clone(),
        instructions: hello.instructions.clone().map(Instructions::of),
        info: hello.info.clone(),
        error: None,
        spoken: era,
        of: None,
        fetched,
        fresh_for: asking.ttl,
        hinted: Duration::from_millis(asking.hint),
    };
    Ok(listing.of(&link.server))
}

struct Asking<'a> {
    worker: &'a Worker,
    pass: &'a Pass,
    link: &'a Arc<Link>,
    channel: &'a Channel,
    askable: Askable,
    ttl: Duration,
    /// The shortest of the times, in milliseconds, for which what has come may be kept.
    hint: u64,
    /// How much has come so far.
    bytes: usize,
    /// Whether the server has said that it does not know the method that was asked for last.
    is_unknown: bool,
}

impl Asking<'_> {
    /// All templates, and whether these are all. Many servers have none, and some of those say so by
    /// not knowing the method; else a list that cannot be had is not taken for an empty one.
    async fn templates(&mut self) -> (Vec<Bytes>, bool) {
        match self.all("resources/templates/list", "resourceTemplates").await {
            Ok(found) => found,
            Err(_) => (Vec::new(), self.is_unknown),
        }
    }

    /// All pages of one list, and whether there are no more. A cursor that comes again ends it: some
    /// servers loop (H128).
    async fn all(
        &mut self,
        method: &'static str,
        member: &str,
    ) -> Result<(Vec<Bytes>, bool), Refusal> {
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        let mut cursor: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let page = self.page(method, cursor.as_deref()).await?;
            self.bytes += page.body().len();
            if MOST_BYTES < self.bytes {
                let why = format!("it lists more than {MOST_BYTES} bytes");
                return Err(self.link.refuse(UpstreamError::Malformed(why)));
            }
            let code = page.error().and_then(|it| it.get("code")).and_then(Raw::i64);
            self.is_unknown = code == Some(METHOD_NOT_FOUND.into());
            let result = page.result().ok_or_else(|| {
                self.link.refuse(UpstreamError::Malformed(format!("`{method}` failed")))
            })?;
            let items = result.get(member).into_iter().flat_map(Raw::items);
            found.extend(items.map(|it| page.body().slice_ref(it.bytes())));
            if let Some(ttl) = result.get("ttlMs").and_then(Raw::u64) {
                self.ttl = self.ttl.min(Duration::from_millis(ttl)).max(SHORTEST);
            }
            self.hint = self.hint.min(CacheHints::of(result, MOST_HINTED).ttl_ms);
            cursor = result.get("nextCursor").and_then(Raw::str).map(|it| it.into_owned());
            match &cursor {
                Some(next) if found.len() < MOST_OFFERS && seen.insert(next.clone()) => {}
                _ => break,
            }
        }
        let is_whole = cursor.is_none() && found.len() <= MOST_OFFERS;
        found.truncate(MOST_OFFERS);
        Ok((found, is_whole))
    }

    async fn page(&self, method: &'static str, cursor: Option<&str>) -> Result<Message, Refusal> {
        let id = self.link.next_id();
        let mut members = Vec::new();
        if let Channel::Modern(_) = self.channel {
            members.push(format!(
                r#""_meta":{{"{}":"{}","{}":{},"{}":{}}}"#,
                meta::PROTOCOL_VERSION,
                revision::LATEST.as_str(),
                meta::CLIENT_CAPABILITIES,
                String::from_utf8_lossy(&self.askable.capabilities()),
                meta::CLIENT_INFO,
                String::from_utf8_lossy(&our_info()),
            ));
        }
        if let Some(cursor) = cursor {
            members.push(format!(r#""cursor":{}"#, quote(cursor)));
        }
        let params = format!("{{{}}}", members.join(","));
        let body = errors::request_body(id.to_string().as_bytes(), method, Some(params.as_bytes()));
        let mut headers = HeaderMap::new();
        if let Channel::Modern(_) = self.channel {
            headers.insert(MCP_METHOD, HeaderValue::from_static(method));
        }
        let letter = Letter { parts: vec![body], id: Some(id), progress: false, headers };
        let patience = self.worker.proxy.options.listing;
        let asking = async {
            let mut exchange = self.link.post(self.worker, self.pass, self.channel, letter).await?;
            let answer = final_answer(self.link, &mut exchange, id).await;
            match (self.channel, exchange.status().as_u16()) {
                (Channel::Legacy(session), 404) => session.lost.store(true, Ordering::Relaxed),
                (Channel::Modern(_), 400 | 404 | 405) if !answer.as_ref().is_ok_and(is_modern) => {
                    return Err(self.link.refuse(UpstreamError::Era));
                }
                _ => {}
            }
            answer.map_err(|error| self.link.refuse(error))
        };
        tokio::time::timeout(patience, asking)
            .await
            .unwrap_or_else(|_| Err(self.link.refuse(UpstreamError::Timeout(patience))))
    }
}

/// Whether an answer is one that nobody but a modern server gives with a status of failure.
fn is_modern(answer: &Message) -> bool {
    let code = answer.error().and_then(|it| it.get("code")).and_then(Raw::i64);
    matches!(code.and_then(|it| i32::try_from(it).ok()), Some(-32022..=-32020 | METHOD_NOT_FOUND))
}

/// Reads what names each; what has no name cannot be called, and of two with one name the first
/// stands. A tool whose header annotations are invalid is dropped (H057).
fn offers(raws: Vec<Bytes>, list: List) -> Vec<Offer> {
    let (key, with_headers) = (list.key(), list == List::Tools);
    let mut seen = HashSet::new();
    let mut found = Vec::with_capacity(raws.len());
    for raw in raws {
        let Ok(object) = Raw::parse(&raw, mcp::json::Limits::default()) else { continue };
        let Some(name) = object.get(key).and_then(Raw::str).filter(|it| is_usable(list, it)) else {
            continue;
        };
        let headers = match object.get("inputSchema").filter(|_| with_headers) {
            Some(schema) => param_headers(schema),
            None => Ok(Vec::new()),
        };
        match headers {
            Ok(headers) if seen.insert(name.to_string()) => {
                let name = Box::from(name.as_ref());
                let for_apps = with_headers && extensions::is_for_apps_alone(object);
                let support = object.at(&["execution", "taskSupport"]).and_then(Raw::str);
                let needs_task = support.as_deref() == Some("required");
                let takes_task = needs_task || support.as_deref() == Some("optional");
                let definition = Definition::of(object, list);
                let raw = raw.clone();
                let offer =
                    Offer { name, raw, definition, headers, for_apps, needs_task, takes_task };
                found.push(offer);
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(tool.name = %name, %error, "A tool with invalid headers is hidden");
            }
        }
    }
    found
}

/// Names stand in headers, policies and records; URIs go back to their server and nowhere else.
fn is_usable(list: List, name: &str) -> bool {
    match list {
        List::Prompts | List::Tools => names::is_usable(name),
        List::Resources => !name.is_empty(),
        List::Templates => (1..=LONGEST_TEMPLATE).contains(&name.len()),
    }
}

#[cfg(test)]
mod tests {
    use domain::ServerId;

    use super::*;

    #[test]
    fn a_failure_is_remembered_from_its_end_and_for_as_long_as_it_took() {
        let server = Server {
            id: ServerId(uuid::Uuid::from_u128(1)),
            name: "files".parse().unwrap(),
            transport: Transport::Http { url: "http://127.0.0.1:1/".into() },
            era: EraSetting::Auto,
            tasks: domain::TasksSetting::Relay,
            roots: false,
            review: Review::Off,
            labels: Default::default(),
            tool_labels: Default::default(),
        };
        let seconds = Duration::from_secs;
        let cases = [("at once", 100, 100, 102), ("after its patience", 100, 110, 120)];
        for (case, began, ended, until) in cases {
            let times = (seconds(began), seconds(ended));
            let failed = Listing::failed(&server, &UpstreamError::NoAnswer, times);
            assert!(failed.is_of(&server), "{case}");
            let just_before = seconds(until) - Duration::from_nanos(1);
            assert!(failed.is_fresh(seconds(ended)) && failed.is_fresh(just_before), "{case}");
            assert!(!failed.is_fresh(seconds(until)), "{case}");
        }
    }
}
