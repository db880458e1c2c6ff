//! Policies, tried on what has been called.
//!
//! The records of a workspace say who has called what, when, from where and with what end. Not kept
//! with them are arguments, so that a policy that looks at those cannot always be told. Who is in
//! which team is as it is now.

use audit::{Log, TailEntry, TreeError};
use chrono::{DateTime, Utc};
use domain::policies::{Facts, Verdict};
use domain::{AppId, Hint, Kind, Policies, Question, Workspace};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// What policies would change.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Simulation {
    /// How many calls have been looked at.
    calls: usize,
    /// The first of them.
    since: Option<DateTime<Utc>>,
    /// Which were let by, and would be refused.
    refused: usize,
    /// Which a policy has refused, and would be let by.
    allowed: usize,
    /// Of which it cannot be told, as it depends on what has not been kept, or is no longer there.
    open: usize,
    /// The newest of those, of each at most 20.
    examples: Vec<SimulatedCall>,
}

/// A call that is decided otherwise.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SimulatedCall {
    /// What becomes of it.
    becomes: Becomes,
    time: DateTime<Utc>,
    /// The place of its record.
    index: Option<u64>,
    app: String,
    gateway: String,
    server: String,
    /// `tool`, `prompt` or `resource`.
    kind: &'static str,
    name: String,
    /// The policy that decides, where one does.
    policy: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Becomes {
    Allowed,
    Refused,
    Open,
}

/// A call as it was recorded.
struct Call {
    app: AppId,
    app_name: String,
    gateway: String,
    server: String,
    assignment: String,
    kind: Kind,
    name: String,
    hints: Option<[Option<bool>; 4]>,
    address: Option<std::net::IpAddr>,
    was_allowed: bool,
}

const EXAMPLES: usize = 20;

/// Of each call so many records at most: its intent, its outcome, and what is told meanwhile.
const RECORDS_PER_CALL: usize = 4;

/// Tries policies on the newest calls; reads the disk.
pub(super) fn run(
    log: &Log,
    workspace: &Workspace,
    policies: &Policies,
    last: usize,
) -> Result<Simulation, TreeError> {
    let mut simulation = Simulation::default();
    let records = crate::records::newest(log, workspace.id.0, None, last * RECORDS_PER_CALL)?;
    for entry in &records {
        if simulation.calls == last {
            break;
        }
        let Some(call) = Call::of(entry) else { continue };
        simulation.calls += 1;
        let time = DateTime::from_timestamp_millis(entry.time_ms).unwrap_or_default();
        simulation.since = Some(time);
        let verdict = call.decide(workspace, policies, time);
        let (becomes, policy) = match verdict {
            Some(Verdict::Allowed) if !call.was_allowed => (Becomes::Allowed, None),
            Some(Verdict::Refused(by)) if call.was_allowed => (Becomes::Refused, by.policy),
            Some(Verdict::Open(by)) => (Becomes::Open, by.policy),
            None => (Becomes::Open, None),
            Some(_) => continue,
        };
        simulation.add(becomes, call, (time, entry.index), policy.map(|it| it.to_string()));
    }
    Ok(simulation)
}

impl Simulation {
    fn add(
        &mut self,
        becomes: Becomes,
        call: Call,
        (time, index): (DateTime<Utc>, Option<u64>),
        policy: Option<String>,
    ) {
        let count = match becomes {
            Becomes::Allowed => &mut self.allowed,
            Becomes::Refused => &mut self.refused,
            Becomes::Open => &mut self.open,
        };
        *count += 1;
        if EXAMPLES < *count {
            return;
        }
        self.examples.push(SimulatedCall {
            becomes,
            time,
            index,
            app: call.app_name,
            gateway: call.gateway,
            server: call.server,
            kind: call.kind.as_str(),
            name: call.name,
            policy,
        });
    }
}

impl Call {
    /// A record that tells of a call that policies decide about.
    fn of(entry: &TailEntry) -> Option<Self> {
        let record: Value = serde_json::from_str(&entry.text).ok()?;
        let text = |name: &str| record.get(name)?.as_str().map(str::to_owned);
        let was_allowed = match entry.kind {
            audit::Kind::Intent => true,
            audit::Kind::Outcome if text("end").as_deref() == Some("policy") => false,
            _ => return None,
        };
        if !matches!(text("method")?.as_str(), "tools/call" | "prompts/get" | "resources/read") {
            return None;
        }
        let kind = match text("offer")?.as_str() {
            "tool" => Kind::Tool,
            "prompt" => Kind::Prompt,
            "resource" => Kind::Resource,
            _ => return None,
        };
        let said = record.get("annotations").and_then(Value::as_array);
        let hints = said.map(|said| {
            Hint::ALL.map(|hint| {
                let of_hint = |it: &Value| {
                    let (name, value) = it.as_str()?.split_once('=')?;
                    (name == hint.as_str()).then_some(value == "true")
                };
                said.iter().find_map(of_hint)
            })
        });
        Some(Self {
            app: AppId(text("app")?.parse().ok()?),
            app_name: text("app_name").unwrap_or_default(),
            gateway: text("gateway")?,
            server: text("server")?,
            assignment: text("assignment")?,
            kind,
            name: text("name")?,
            hints: if kind == Kind::Tool { hints } else { Some([None; 4]) },
            address: text("peer").and_then(|it| it.parse().ok()),
            was_allowed,
        })
    }

    /// Nothing where who has called, or what, is no longer there.
    fn decide(
        &self,
        workspace: &Workspace,
        policies: &Policies,
        time: DateTime<Utc>,
    ) -> Option<Verdict> {
        let gateway = workspace.gateways.get(self.gateway.as_str())?;
        let connection = gateway.connections.get(&self.app)?;
        let assignments = &mut gateway.assignments.iter();
        let question = Question {
            workspace,
            app: self.app,
            user: workspace.users.get(&connection.user)?,
            gateway,
            assignment: assignments.find(|it| it.alias.as_str() == self.assignment)?,
            kind: self.kind,
            name: &self.name,
            hints: self.hints,
        };
        let facts = Facts { now: Some(time), address: self.address, arguments: None };
        Some(policies.decide(&question, &facts))
    }
}
