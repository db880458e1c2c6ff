//! Whether there is room for a call under the limits of its workspace.
//!
//! A request is charged before its content is looked at and before anything of it leaves: for all
//! limits that it is under, or for none. An answer is charged when it is known, whether there is room
//! or not, so one answer may overdraw a limit, which then refuses. Whatever goes to a server is a
//! call, but for the return of a client to a call that it has been asked about. Counters exist only for what
//! policy has allowed, so that nobody makes any by asking for names.

mod returns;

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use domain::limits::{Charge, Direction, Holder, Unit};
use domain::ports::Uncharged;
use domain::{Limit, TeamId, WorkspaceId};
use mcp::envelope::Message;
use mcp::json::Limits;
use tokio::runtime::Handle;

use crate::authorize::Pass;
use crate::call::{Asked, Permitted};
use crate::parked;
use crate::refusal::Refusal;

pub(crate) use self::returns::Returns;

/// That a request has been charged. Only [`charge`] can make one.
pub(crate) struct Charged {
    /// The counters that its answer is to be charged to.
    answer: Vec<(Arc<Limit>, Holder)>,
    /// How often its client has been asked something, where calls are counted.
    round: Option<u32>,
}

/// What is released of a call: its answer, and what has come before it.
pub(crate) struct Released<'a> {
    pub(crate) answer: &'a [Bytes],
    /// How much has come before it, in bytes, and what of that has been kept.
    pub(crate) news_bytes: u64,
    pub(crate) news: &'a [Bytes],
}

/// Counting the tokens of longer texts would hold up the other calls of the thread: 16 kB take about a
/// millisecond.
const LONG: usize = 16 << 10;

/// Charges a request that policy allows.
pub(crate) async fn charge(asked: &Asked, pass: &Pass) -> Result<Charged, Refusal> {
    if pass.caller.workspace.limits.is_empty() {
        return Ok(Charged { answer: Vec::new(), round: None });
    }
    Box::pin(charge_under_limits(asked, pass)).await
}

async fn charge_under_limits(asked: &Asked, pass: &Pass) -> Result<Charged, Refusal> {
    let workspace = &pass.caller.workspace;
    let (proxy, teams) = (&asked.worker.proxy, teams(pass));
    let counters: Vec<(Arc<Limit>, Holder)> = workspace
        .limits
        .iter()
        .flat_map(|limit| {
            let holders = limit.holders(workspace.id, &pass.subject, &teams);
            holders.into_iter().map(|holder| (Arc::clone(limit), holder))
        })
        .collect();
    let counts_calls = counters.iter().any(|it| it.0.unit == Unit::Calls);
    let returned = if counts_calls { round(asked, pass) } else { None };
    let size = Size {
        calls: u64::from(returned.is_none()),
        bytes: asked.message.body().len() as u64,
        tokens: match has_tokens(&counters, Direction::has_request) {
            true => tokens(&proxy.options.runtime, vec![asked.message.body().clone()]).await?,
            false => 0,
        },
    };
    let charges: Vec<Charge> = counters
        .iter()
        .filter(|(limit, _)| limit.unit != Unit::Calls || 0 < size.calls)
        .map(|(limit, holder)| Charge {
            limit: Arc::clone(limit),
            holder: holder.clone(),
            cost: size.of(limit.unit, Direction::has_request),
        })
        .collect();
    if !charges.is_empty() {
        let charged = charge_at(pass, charges).await;
        charged.map_err(|uncharged| refused(asked, uncharged))?;
    }
    let answer = counters.into_iter().filter(|it| it.0.unit.counts_answers()).collect();
    Ok(Charged { answer, round: counts_calls.then(|| returned.unwrap_or_default()) })
}

/// Charges where all replicas count together or, where that is away and the gateway may do without,
/// here.
async fn charge_at(pass: &Pass, charges: Vec<Charge>) -> Result<(), Uncharged> {
    let (gate, counters) = (&pass.proxy.gate, &pass.proxy.counters);
    let (workspace, at) = (pass.caller.workspace.id, pass.at());
    if at.gateway.autonomy.is_zero() {
        return counters.charge(workspace, charges).await;
    }
    if gate.apart(at).is_none() {
        let charged = tokio::select! {
            biased;
            charged = counters.charge(workspace, charges.clone()) => charged,
            () = gate.away(at) => Err(Uncharged::Unavailable),
        };
        // It may be the first one to find out.
        let is_away = matches!(charged, Err(Uncharged::Unavailable))
            && gate.current_at(at).await.is_ok_and(|it| it.unproved.is_some());
        if !is_away {
            return charged;
        }
    }
    counters.charge_apart(workspace, &charges)
}

/// Which round of a call a request is that comes back to it.
fn round(asked: &Asked, pass: &Pass) -> Option<u32> {
    let state = asked.message.params().and_then(|it| it.get("requestState"));
    let state = state.filter(|_| asked.may_be_asked())?.str()?;
    if parked::is_return(asked, pass) {
        return Some(0);
    }
    let proxy = &asked.worker.proxy;
    proxy.returns.take((&parked::bound(asked, pass), &state), proxy.clock.elapsed())
}

/// The state with which a client is to come back, if an answer asks it something.
fn state(answer: &[Bytes]) -> Option<String> {
    let body = Bytes::from(answer.concat());
    memchr::memmem::find(&body, b"\"requestState\"")?;
    let message = Message::parse(body, Limits::default()).ok()?;
    Some(message.result()?.get("requestState")?.str()?.into_owned())
}

/// Charges for what is released of a call.
pub(crate) async fn settle(permitted: &Permitted, released: Released<'_>) {
    let Charged { answer: counters, round } = &permitted.charged;
    if let Some(round) = round.filter(|_| permitted.asked.may_be_asked())
        && let Some(state) = state(released.answer)
    {
        let proxy = &permitted.asked.worker.proxy;
        let patience = (proxy.clock.elapsed(), proxy.options.answers);
        let bound = parked::bound(&permitted.asked, &permitted.pass);
        proxy.returns.expect((&bound, &state), round, patience);
    }
    if counters.is_empty() {
        return;
    }
    let proxy = &permitted.asked.worker.proxy;
    let answer: u64 = released.answer.iter().map(|it| it.len() as u64).sum();
    let texts = || released.answer.iter().chain(released.news).cloned().collect();
    let tokens = match has_tokens(counters, Direction::has_response) {
        true => tokens(&proxy.options.runtime, texts()).await.unwrap_or_default(),
        false => 0,
    };
    let size = Size { calls: 0, bytes: answer.saturating_add(released.news_bytes), tokens };
    let charges = counters.iter().map(|(limit, holder)| Charge {
        limit: Arc::clone(limit),
        holder: holder.clone(),
        cost: size.of(limit.unit, Direction::has_response),
    });
    let workspace: WorkspaceId = permitted.pass.caller.workspace.id;
    proxy.counters.settle(workspace, charges.collect());
}

/// What something costs, in each unit.
struct Size {
    calls: u64,
    bytes: u64,
    tokens: u64,
}

impl Size {
    fn of(&self, unit: Unit, counts: impl Fn(Direction) -> bool) -> u64 {
        match unit {
            Unit::Calls => self.calls,
            Unit::Tokens(direction) if counts(direction) => self.tokens,
            Unit::Bytes(direction) if counts(direction) => self.bytes,
            Unit::Tokens(_) | Unit::Bytes(_) => 0,
        }
    }
}

/// Those by which a person may use the gateway.
fn teams(pass: &Pass) -> BTreeSet<TeamId> {
    let user = pass.caller.user(pass.subject.user);
    let own = user.map(|it| &it.teams).into_iter().flatten();
    own.filter(|it| pass.place.gateway.teams.contains(it)).copied().collect()
}

fn has_tokens(counters: &[(Arc<Limit>, Holder)], counts: impl Fn(Direction) -> bool) -> bool {
    counters.iter().any(|it| matches!(it.0.unit, Unit::Tokens(direction) if counts(direction)))
}

/// How many tokens a text has that comes in parts.
async fn tokens(runtime: &Handle, parts: Vec<Bytes>) -> Result<u64, Refusal> {
    let length: usize = parts.iter().map(Bytes::len).sum();
    let count = move || inspect::tokens::count(&parts.concat());
    if length <= LONG && inspect::tokens::is_ready() {
        return Ok(count());
    }
    runtime.spawn_blocking(count).await.map_err(|_| Refusal::Uncounted)
}

fn refused(asked: &Asked, uncharged: Uncharged) -> Refusal {
    match uncharged {
        Uncharged::Exceeded { limit, wait } => {
            let workspace = &asked.caller.workspace.name;
            asked.worker.proxy.metrics.limited(format!("{workspace}/{limit}"));
            Refusal::Limited { limit: limit.to_string(), wait }
        }
        Uncharged::Unavailable => Refusal::Uncounted,
    }
}
