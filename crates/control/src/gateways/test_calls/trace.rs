//! What was decided on the way of a call, gate by gate.
//!
//! Nothing is decided here. What leads to the tool is what `why` says of the same call; what has ended
//! it, and all that comes behind the decision, is what its record says. Where the two disagree, since
//! something has changed in between, the record is right.

use domain::ports::Offers;
use domain::{Answered, Gateway, Snapshot, Subject, Tested, User, Workspace};
use serde_json::Value;

use crate::App;
use crate::session::Caller;
use crate::why::{Link, Presented, Question};

/// What has been asked for.
pub(super) struct Asked<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) here: &'a Workspace,
    pub(super) gateway: &'a Gateway,
    pub(super) whose: &'a domain::App,
    pub(super) caller: &'a Caller,
    /// Whether they may see the rules of the gateway.
    pub(super) names_rules: bool,
    pub(super) arguments: &'a Value,
}

/// Of the beginning and of the end.
pub(super) type Records<'a> = (Option<&'a Value>, Option<&'a Value>);

impl Asked<'_> {
    /// For whom the app acts.
    pub(super) fn user(&self) -> Option<&User> {
        let connection = self.gateway.connections.get(&self.whose.id)?;
        self.here.users.get(&connection.user)
    }

    /// Whether it would be let through by this snapshot.
    pub(super) fn holds_by(&self, app: &App, snapshot: &Snapshot, tested: &Tested) -> bool {
        let again = || {
            let here = snapshot.config.workspace(self.here.id)?;
            let gateway = here.gateways.values().find(|it| it.id == self.gateway.id)?;
            let whose = here.apps.get(&self.whose.id)?;
            let Self { caller, names_rules, arguments, .. } = *self;
            Some(Asked { snapshot, here, gateway, whose, caller, names_rules, arguments })
        };
        again().is_some_and(|it| it.decided(app, tested).0.is_some())
    }

    pub(super) fn trace(
        &self,
        app: &App,
        tested: &Tested,
        records: Records<'_>,
        places: (Option<u64>, Option<u64>),
    ) -> Vec<Link> {
        let (subject, mut chain) = self.decided(app, tested);
        let (intent, outcome) = records;
        let Some(intent) = intent else {
            // It ended before anything was sent.
            if subject.is_some() || !is_of_decision(end(outcome)) {
                chain.retain(|it| it.holds);
                chain.push(self.ended(outcome, tested));
            }
            return chain;
        };
        chain.retain(|it| it.holds);
        if let Some(subject) = &subject {
            self.limits(subject, &mut chain);
        }
        self.rules(Some(intent), "the arguments", &mut chain);
        chain.push(Link::new("record", place(places.0), "that it begins is recorded"));
        if end(outcome) != "answered" {
            chain.push(self.ended(outcome, tested));
            return chain;
        }
        chain.push(Link::new("gate", "last look", "what held when it left allowed it"));
        let took = outcome.and_then(|it| it.get("upstream_us")?.as_u64()).unwrap_or_default();
        let server = text(Some(intent), "server").unwrap_or("unknown");
        let answer = if is_error(outcome) { "it answered with an error" } else { "it answered" };
        let detail = format!("{answer}, after {} ms", took.div_ceil(1_000));
        chain.push(Link::new("server", server, detail));
        self.rules(outcome, "the answer", &mut chain);
        chain.push(Link::new("record", place(places.1), "that it has ended is recorded"));
        if let Some(late) = unseen(tested) {
            let mut link = Link::new("answer", "none", late);
            link.holds = false;
            chain.push(link);
        }
        chain
    }

    /// What decides whether it may be made, and as what, if it may.
    fn decided(&self, app: &App, tested: &Tested) -> (Option<Subject>, Vec<Link>) {
        let tool = tested.tool.as_ref().and_then(|(alias, name)| {
            let found = self.gateway.assignments.iter().find(|it| it.alias == *alias)?;
            Some((found.as_ref(), name.as_str()))
        });
        let (offers, now) = (app.offers.get(), app.clock.now());
        let general = Question::in_general(self.snapshot, self.here, self.gateway, tool, now);
        let question = Question {
            address: self.caller.address,
            offers: offers.map(|it| -> &dyn Offers { it.as_ref() }),
            arguments: Some(self.arguments),
            presented: Presented::Nothing(&self.caller.name),
            ..general
        };
        let (answer, subject) = question.answer(self.whose);
        (subject, answer.chain)
    }

    /// Those that it has counted for.
    fn limits(&self, subject: &Subject, chain: &mut Vec<Link>) {
        let user = self.here.users.get(&subject.user);
        let teams = user.map(|it| &it.teams & &self.gateway.teams).unwrap_or_default();
        let is_for = |it: &domain::Limit| !it.holders(self.here.id, subject, &teams).is_empty();
        let limits = self.here.limits.iter().filter(|it| is_for(it));
        chain.extend(limits.map(|it| Link::new("limit", &it.name, "it had room")));
    }

    /// What the rules of the gateway have found.
    fn rules(&self, record: Option<&Value>, of: &str, chain: &mut Vec<Link>) {
        let found = record.and_then(|it| it.get("rules")?.as_array());
        let found = found.into_iter().flatten().filter_map(Value::as_str);
        let before = chain.len();
        // Whoever may not see the rules is not told of those that do nothing but look.
        let found = found.filter(|it| self.names_rules || !it.ends_with(" observed"));
        chain.extend(found.map(|it| {
            let (rule, what) = it.split_once(' ').unwrap_or((it, ""));
            let rule = if self.names_rules { rule } else { A_RULE };
            Link::new("rule", rule, format!("in {of}: {what}"))
        }));
        if chain.len() == before && !self.gateway.rules.is_empty() {
            let found = if self.names_rules { "found" } else { "changed" };
            chain.push(Link::new("rules", of, format!("they have {found} nothing")));
        }
    }

    /// What has ended it.
    fn ended(&self, outcome: Option<&Value>, tested: &Tested) -> Link {
        let end = end(outcome);
        let (kind, member) = match end {
            "policy" => ("policy", "policy"),
            "limited" => ("limit", "limit"),
            "rule_block" => ("rule", "rule"),
            "limits_unavailable" => ("limit", ""),
            "rules_unavailable" => ("rules", ""),
            "audit_unavailable" | "unrecorded" => ("record", ""),
            "gate_closed" => ("gate", ""),
            "switched_off" => ("switch", ""),
            "upstream" | "unanswered" | "secret_unopenable" => ("server", "server"),
            "bad_params" | "malformed" | "header_mismatch" => ("request", ""),
            "not_permitted" | "unapproved" => ("tool", "name"),
            "withdrawn" => ("test", "test_by"),
            _ => ("call", ""),
        };
        let name = text(outcome, member).unwrap_or(end);
        let name = if kind == "rule" && !self.names_rules { A_RULE } else { name };
        let mut link = Link::new(kind, name, because(tested, outcome));
        link.holds = false;
        link
    }
}

/// One, to whoever may not see which there are.
const A_RULE: &str = "a rule";

/// One sentence about what came of it.
pub(super) fn because(tested: &Tested, outcome: Option<&Value>) -> String {
    let asks = match &tested.answer {
        Answered::Result(it) => serde_json::from_str::<Value>(it).ok(),
        _ => None,
    };
    let asks = asks.as_ref().and_then(|it| it.get("resultType")?.as_str());
    match (end(outcome), text(outcome, "detail")) {
        ("answered", _) if asks == Some("input_required") => {
            "the server asks something, which nobody answers in a test".into()
        }
        ("answered", _) => match unseen(tested) {
            Some(why) => why,
            None if is_error(outcome) => "the server has answered with an error".into(),
            None => "the server has answered".into(),
        },
        (_, Some(detail)) => detail.to_owned(),
        ("client_cancelled", None) => unseen(tested).unwrap_or_else(|| "it was given up".into()),
        (end, None) => unseen(tested).unwrap_or_else(|| end.to_owned()),
    }
}

/// Why there is no answer to be seen.
fn unseen(tested: &Tested) -> Option<String> {
    match tested.answer {
        Answered::Result(_) | Answered::Error { .. } => None,
        Answered::TooLarge(most) => {
            Some(format!("the answer is larger than {most} bytes, and is not shown"))
        }
        Answered::Late(seconds) => {
            Some(format!("it was given up, since there was no answer within {seconds} s"))
        }
        Answered::Withheld(why) => Some(why.to_owned()),
        Answered::Nothing => Some("there was no answer".into()),
    }
}

/// Whether it is what `why` decides by, and so explains better.
fn is_of_decision(end: &str) -> bool {
    let all = ["address", "no_gateway", "no_identity", "not_permitted", "policy", "switched_off"];
    all.contains(&end) || end == "unapproved"
}

pub(super) fn end(outcome: Option<&Value>) -> &str {
    text(outcome, "end").unwrap_or("unrecorded")
}

fn is_error(outcome: Option<&Value>) -> bool {
    outcome.and_then(|it| it.get("error")?.as_bool()).unwrap_or(true)
}

fn text<'a>(record: Option<&'a Value>, key: &str) -> Option<&'a str> {
    record?.get(key)?.as_str()
}

fn place(index: Option<u64>) -> String {
    index.map_or_else(|| "without a place yet".to_owned(), |it| it.to_string())
}
