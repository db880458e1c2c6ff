//! What records say: who, where, what, and by which decision.

use audit::Leaf;
use domain::Hint;
use domain::ports::At;
use inspect::Hit;

use super::Said;
use crate::authorize::Pass;
use crate::call::Asked;
use crate::flight::millis;
use crate::identify::Caller;
use crate::picker;

/// What is asked, and by whom.
pub(super) fn describe_asked(leaf: Leaf, asked: &Asked) -> Leaf {
    let leaf = match picker::Tool::of(&asked.message).filter(|_| asked.place.is_picker()) {
        Some(tool) => own_tool(leaf, tool),
        None => leaf,
    };
    describe(leaf, &asked.caller, &asked.said())
        .opt_str("id", asked.message.id().map(|it| it.text()))
        .u64("request_bytes", asked.message.body().len() as u64)
        .u64("request_tokens", inspect::tokens::estimate([asked.message.body().as_ref()]))
}

/// Who says something, over which URL.
pub(super) fn describe(leaf: Leaf, caller: &Caller, said: &Said<'_>) -> Leaf {
    let mut leaf = whoever(leaf, caller);
    if !said.place.is_lobby() {
        leaf = leaf.str("gateway", said.place.gateway.name.as_str());
    }
    if said.place.is_picker() {
        leaf = leaf.bool("picker", true);
    }
    if let Some(only) = &said.place.only {
        leaf = leaf.str("single", only.alias.as_str());
    }
    let at = At { workspace: &caller.workspace, gateway: &said.place.gateway };
    if let Some(age) = said.worker.proxy.gate.apart(at) {
        leaf = leaf.u64(WITHOUT_DATABASE, millis(age));
    }
    leaf.str("peer", &said.peer.to_string())
        .str("revision", said.revision.as_str())
        .str("method", said.method)
}

/// That the database was away, and for how many milliseconds what was known then had not been
/// confirmed.
pub(super) const WITHOUT_DATABASE: &str = "without_database_ms";

/// A tool of ours.
pub(super) fn own_tool(leaf: Leaf, tool: picker::Tool) -> Leaf {
    leaf.str("offer", "tool").str("name", tool.name())
}

/// Who calls; and of a test the act by which it was started, and by whom.
pub(super) fn whoever(mut leaf: Leaf, caller: &Caller) -> Leaf {
    leaf = leaf.uuid("app", caller.app.0);
    if let Some(app) = caller.app() {
        leaf = leaf.str("app_name", app.name.as_str()).uuid("owner", app.owner.0);
    }
    if let Some(test) = caller.as_test() {
        let starter = &test.starter;
        leaf = leaf.uuid("test", starter.act).str("test_by", &starter.name);
        leaf = leaf.uuid("test_by_id", starter.id);
    }
    match caller.token() {
        Some(token) => leaf.uuid("token", token.0),
        None => leaf,
    }
}

/// By which decision, for which offer of which server.
pub(super) fn decided(mut leaf: Leaf, pass: &Pass) -> Leaf {
    let subject = &pass.subject;
    leaf = leaf
        .uuid("user", subject.user.0)
        .uuid("connection", subject.connection.0)
        .u64("epoch", pass.epoch)
        .str("decision", "allow");
    let offered = pass.offered.as_ref();
    if let Some(assignment) = offered.map(|it| &it.assignment).or(pass.place.only.as_ref()) {
        leaf = leaf
            .str("server", assignment.server.name.as_str())
            .str("assignment", assignment.alias.as_str());
    }
    if let Some(offered) = offered {
        leaf = leaf.str("offer", offered.kind.as_str()).str("name", &offered.name);
        leaf = annotated(leaf, offered.kind, offered.hints());
    }
    match subject.identity {
        Some(identity) => leaf.uuid("identity", identity.0),
        None => leaf,
    }
}

/// What its server says of a tool, so that policies can be tried on what has been called.
pub(super) fn annotated(leaf: Leaf, kind: domain::Kind, hints: Option<[Option<bool>; 4]>) -> Leaf {
    let Some(hints) = hints.filter(|_| kind == domain::Kind::Tool) else { return leaf };
    let said = Hint::ALL.into_iter().zip(hints).filter_map(|(it, said)| Some((it, said?)));
    let texts: Vec<String> = said.map(|(it, said)| format!("{}={said}", it.as_str())).collect();
    leaf.list("annotations", texts.iter().map(String::as_str))
}

pub(super) fn add_hits(leaf: Leaf, hits: &[Hit]) -> Leaf {
    if hits.is_empty() {
        return leaf;
    }
    let texts: Vec<String> = hits
        .iter()
        .map(|it| {
            let observed = if it.observed_only { " observed" } else { "" };
            format!("{} {} {}{observed}", it.rule, it.action, it.count)
        })
        .collect();
    leaf.list("rules", texts.iter().map(String::as_str))
}
