//! The `requestState` by which a modern client finds its call again.
//!
//! It is sealed, so that nobody else can make one, and says all that the retry must agree with: who
//! asked, where, what, and at which node the call is held. Whoever opens one compares each of these
//! with the request at hand, and takes nothing in it for granted.

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;

use crate::json::{Kind as JsonKind, Limits, Raw, quote};
use crate::meta;
use crate::sealed::Sealer;

/// What a state is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The call is held, and goes on with the answers.
    Parked,
    /// The call has failed, and is sent once more.
    Replay,
    /// The call has become a task of its server, which gets the answers.
    Task,
}

/// What a state says. Ids are text, so that nothing here knows what they are ids of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub kind: Kind,
    /// The node at which the call is held.
    pub node: String,
    /// Which call it is, or which task of its server.
    pub call: String,
    pub bound: Bound,
    /// Which questions it goes with.
    pub round: u32,
    /// In milliseconds since 1970.
    pub issued_ms: i64,
    /// In milliseconds since 1970.
    pub expires_ms: i64,
}

/// What a retry must agree with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    pub workspace: String,
    /// The app and the user for whom it acts.
    pub principal: String,
    /// The gateway, and the one server of it where the URL names one.
    pub route: String,
    /// The server.
    pub upstream: String,
    pub method: String,
    /// See [`digest_params`].
    pub params: String,
}

/// Why a state is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// It is not ours, or not whole, or for somebody or something else.
    Foreign,
    Expired,
}

/// Seals and opens states under one key.
#[derive(Debug)]
pub struct States {
    sealer: Sealer,
    /// Names the key without telling anything of it.
    key: String,
}

/// The form of what is sealed.
const VERSION: u64 = 1;

const PURPOSE: &str = "request state";

impl States {
    /// With a key that is the same for as long as states are to be opened.
    pub fn new(key: [u8; 32]) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(b"the name of a key for request states");
        context.update(&key);
        let name = hex(context.finish().as_ref().get(..4).unwrap_or_default());
        Self { sealer: Sealer::new(key), key: name }
    }

    /// The text for the client.
    pub fn seal(&self, state: &State) -> String {
        let Bound { workspace, principal, .. } = &state.bound;
        let associated = [workspace.as_bytes(), principal.as_bytes()];
        self.sealer.seal(PURPOSE, &associated, state.written(&self.key).as_bytes())
    }

    /// What a client brings back, for a request that it must agree with in everything.
    ///
    /// # Errors
    /// If it does not, or its time is over.
    pub fn open(&self, text: &str, bound: &Bound, now_ms: i64) -> Result<State, Misfit> {
        let associated = [bound.workspace.as_bytes(), bound.principal.as_bytes()];
        let opened = self.sealer.open(PURPOSE, &associated, text).ok_or(Misfit::Foreign)?;
        let state = State::read(&opened, &self.key).ok_or(Misfit::Foreign)?;
        if state.bound != *bound {
            return Err(Misfit::Foreign);
        }
        // One from the future was issued by a clock that cannot be trusted with its end either.
        if state.expires_ms <= now_ms || now_ms.saturating_add(SKEW_MS) < state.issued_ms {
            return Err(Misfit::Expired);
        }
        Ok(state)
    }

    /// At which node the call is held that a state goes on with, if it is of this workspace and
    /// principal. What else it must agree with, that node says.
    pub fn node_of(&self, text: &str, (workspace, principal): (&str, &str)) -> Option<String> {
        let associated = [workspace.as_bytes(), principal.as_bytes()];
        let opened = self.sealer.open(PURPOSE, &associated, text)?;
        let state = State::read(&opened, &self.key)?;
        (state.kind == Kind::Parked).then_some(state.node)
    }
}

/// How far the clocks of two nodes may be apart.
const SKEW_MS: i64 = 60_000;

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Parked => "parked",
            Self::Replay => "replay",
            Self::Task => "task",
        }
    }
}

impl State {
    fn written(&self, key: &str) -> String {
        let bound = &self.bound;
        let texts = [
            ("kind", self.kind.as_str()),
            ("key", key),
            ("node", &self.node),
            ("call", &self.call),
            ("workspace", &bound.workspace),
            ("principal", &bound.principal),
            ("route", &bound.route),
            ("upstream", &bound.upstream),
            ("method", &bound.method),
            ("params", &bound.params),
        ];
        let mut out = format!(r#"{{"v":{VERSION}"#);
        for (name, text) in texts {
            out.push_str(&format!(r#","{name}":{}"#, quote(text)));
        }
        let (round, issued, expires) = (self.round, self.issued_ms, self.expires_ms);
        let rest = format!(r#","round":{round},"issued":{issued},"expires":{expires}}}"#);
        out.push_str(&rest);
        out
    }

    fn read(opened: &[u8], key: &str) -> Option<Self> {
        let raw = Raw::parse(opened, Limits::default()).ok()?;
        let text = |name: &str| raw.get(name)?.str().map(|it| it.into_owned());
        let number = |name: &str| raw.get(name)?.i64();
        if raw.get("v")?.u64()? != VERSION || text("key")? != key {
            return None;
        }
        let kind = [Kind::Parked, Kind::Replay, Kind::Task];
        let named = text("kind")?;
        let kind = kind.into_iter().find(|it| it.as_str() == named)?;
        Some(Self {
            kind,
            node: text("node")?,
            call: text("call")?,
            bound: Bound {
                workspace: text("workspace")?,
                principal: text("principal")?,
                route: text("route")?,
                upstream: text("upstream")?,
                method: text("method")?,
                params: text("params")?,
            },
            round: u32::try_from(number("round")?).ok()?,
            issued_ms: number("issued")?,
            expires_ms: number("expires")?,
        })
    }
}

/// A digest of what the params of a request mean, without what a retry says anew. The order of
/// members, blanks and the spelling of strings make no difference; that of numbers does.
pub fn digest_params(params: Option<Raw<'_>>) -> String {
    let mut context = Context::new(&SHA256);
    if let Some(params) = params {
        let is_said_anew =
            |name: &str| [meta::META, "inputResponses", "requestState"].contains(&name);
        take_object(&mut context, params, is_said_anew);
    }
    hex(context.finish().as_ref())
}

fn take(context: &mut Context, value: Raw<'_>) {
    match value.kind() {
        JsonKind::Object => take_object(context, value, |_| false),
        JsonKind::Array => {
            context.update(b"[");
            value.items().for_each(|item| take(context, item));
            context.update(b"]");
        }
        JsonKind::String => take_text(context, b'"', &value.str().unwrap_or_default()),
        _ => take_text(context, b'=', value.text()),
    }
}

fn take_object(context: &mut Context, object: Raw<'_>, is_left_out: impl Fn(&str) -> bool) {
    let mut members: Vec<_> = object.members().filter(|(name, _)| !is_left_out(name)).collect();
    members.sort_by(|(one, _), (other, _)| one.cmp(other));
    context.update(b"{");
    for (name, value) in members {
        take_text(context, b':', &name);
        take(context, value);
    }
    context.update(b"}");
}

/// With its length before it, so that no two values give the same bytes.
fn take_text(context: &mut Context, kind: u8, text: &str) {
    context.update(&[kind]);
    context.update(&(text.len() as u64).to_le_bytes());
    context.update(text.as_bytes());
}

/// The result that asks a client: questions by their keys, and the state to come back with.
pub fn input_required<'a>(
    questions: impl IntoIterator<Item = (&'a str, &'a super::askable::Asked)>,
    state: &str,
    server_info: &[u8],
) -> Bytes {
    let mut out = br#"{"resultType":"input_required","inputRequests":{"#.to_vec();
    for (index, (key, asked)) in questions.into_iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let head = format!(r#"{comma}{}:{{"method":{},"params":"#, quote(key), quote(asked.method));
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(&asked.params);
        out.push(b'}');
    }
    let tail = format!(r#"}},"requestState":{},"_meta":{{"#, quote(state));
    out.extend_from_slice(tail.as_bytes());
    out.extend_from_slice(format!(r#"{}:"#, quote(meta::SERVER_INFO)).as_bytes());
    out.extend_from_slice(server_info);
    out.extend_from_slice(b"}}");
    out.into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000;

    #[test]
    fn what_is_sealed_comes_back_for_the_same_request_and_in_its_time() {
        let states = States::new([7; 32]);
        for kind in [Kind::Parked, Kind::Replay] {
            let state = State { kind, ..state() };
            let text = states.seal(&state);
            assert_ne!(text, states.seal(&state));
            for now in [NOW - 59_000, NOW, NOW + 599_999] {
                assert_eq!(states.open(&text, &bound(), now), Ok(state.clone()), "{now}");
            }
            for now in [NOW + 600_000, i64::MAX, NOW - 61_000] {
                assert_eq!(states.open(&text, &bound(), now), Err(Misfit::Expired), "{now}");
            }
        }
    }

    #[test]
    fn h060_a_state_is_good_for_nothing_but_its_own_request() {
        let states = States::new([7; 32]);
        let text = states.seal(&state());
        let changes: [fn(&mut Bound); 6] = [
            |it| it.workspace.push('x'),
            |it| it.principal = "bob".to_owned(),
            |it| it.route.clear(),
            |it| it.upstream.push(' '),
            |it| it.method = "prompts/get".to_owned(),
            |it| it.params.push('0'),
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let mut other = bound();
            change(&mut other);
            assert_eq!(states.open(&text, &other, NOW), Err(Misfit::Foreign), "{index}");
        }
        let (own, foreign) = (("w", "ann"), ("w", "bob"));
        assert_eq!(states.node_of(&text, own).as_deref(), Some("n"));
        assert_eq!(states.node_of(&text, foreign), None);
        let replay = states.seal(&State { kind: Kind::Replay, ..state() });
        assert_eq!(states.node_of(&replay, own), None, "it can be sent again anywhere");
        let elsewhere = States::new([8; 32]);
        assert_eq!(elsewhere.node_of(&text, own), None);
        assert_eq!(elsewhere.open(&text, &bound(), NOW), Err(Misfit::Foreign));
    }

    #[test]
    fn h060_a_changed_state_is_none() {
        let states = States::new([7; 32]);
        let text = states.seal(&state());
        for length in 0..text.len() {
            let cut: String = text.chars().take(length).collect();
            assert_eq!(states.open(&cut, &bound(), NOW), Err(Misfit::Foreign), "{length}");
            let mut changed = text.clone().into_bytes();
            changed[length] = if changed[length] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(states.open(&changed, &bound(), NOW), Err(Misfit::Foreign), "{length}");
        }
        // What another part of ours has sealed is no state either.
        let sealer = Sealer::new([7; 32]);
        let other = sealer.seal("cursor", &[b"w", b"ann"], state().written(&states.key).as_bytes());
        assert_eq!(states.open(&other, &bound(), NOW), Err(Misfit::Foreign));
        let odd = state().written(&states.key).replace("\"v\":1", "\"v\":2");
        let odd = sealer.seal(PURPOSE, &[b"w", b"ann"], odd.as_bytes());
        assert_eq!(states.open(&odd, &bound(), NOW), Err(Misfit::Foreign));
    }

    #[test]
    fn the_digest_is_of_what_the_params_mean() {
        let one = r#"{"name":"t","arguments":{"a":[1,"x"],"b":{}},"_meta":{"x":1}}"#;
        let same = [
            r#"{"arguments":{"b":{ },"a":[1, "\u0078"]},"name":"t"}"#,
            r#"{"name":"t","arguments":{"a":[1,"x"],"b":{}},"requestState":"s","inputResponses":{"q1":{}}}"#,
        ];
        let other = [
            "{}",
            r#"{"name":"t","arguments":{"a":[1.0,"x"],"b":{}}}"#,
            r#"{"name":"t","arguments":{"a":["x",1],"b":{}}}"#,
            r#"{"name":"t","arguments":{"a":[1,"x"],"b":{}},"x":1}"#,
            r#"{"name":"t","arguments":{"a":[1,"x"],"b":[]}}"#,
            r#"{"name":"t","arguments":{"a":[1,"x"],"b":{},"_meta":1}}"#,
            r#"{"name":"t","arguments":{"a":[1],"":"x","b":{}}}"#,
            r#"{"name":"t","arguments":{"a":["1","x"],"b":{}}}"#,
        ];
        let digest = |text: &str| {
            digest_params(Some(Raw::parse(text.as_bytes(), Limits::default()).unwrap()))
        };
        for text in same {
            assert_eq!(digest(text), digest(one), "{text}");
        }
        for text in other {
            assert_ne!(digest(text), digest(one), "{text}");
        }
    }

    fn bound() -> Bound {
        let text = str::to_owned;
        Bound {
            workspace: text("w"),
            principal: text("ann"),
            route: text("g"),
            upstream: text("s"),
            method: text("tools/call"),
            params: digest_params(None),
        }
    }

    fn state() -> State {
        let (issued_ms, expires_ms) = (NOW, NOW + 600_000);
        let (node, call) = ("n".to_owned(), "c".to_owned());
        let (kind, bound) = (Kind::Parked, bound());
        State { kind, node, call, bound, round: 3, issued_ms, expires_ms }
    }
}
