//! Every method of every revision, described.
//!
//! Methods do not get a branch each: the one path of a message asks the description what the method
//! names, how a list of it is called, and in which revisions it may be on the wire. What is not in
//! the table is an extension that we do not interpret.

use crate::revision::{Era, Revision};

/// What there is to know about a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method {
    pub name: &'static str,
    pub form: Form,
    pub direction: Direction,
    /// What its params name.
    pub names: Names,
    /// For a list: the member of the result that holds the items.
    pub list: Option<&'static str>,
    /// Whether a modern result carries `ttlMs` and `cacheScope`.
    pub has_cache_hints: bool,
    /// Whether a modern result may be `input_required`.
    pub may_ask: bool,
    /// The first revision that has it.
    pub since: Revision,
    /// The last revision that has it as a message of its own.
    pub until: Revision,
    /// Whether it comes from an extension and not from the protocol itself.
    pub is_extension: bool,
}

/// Whether an answer is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Request,
    Notification,
}

/// Who may send it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    ToServer,
    ToClient,
    Both,
}

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    Nothing,
    /// `params.name` is a tool.
    Tool,
    /// `params.name` is a prompt.
    Prompt,
    /// `params.uri` is a resource.
    ResourceUri,
    /// `params.ref` is a prompt by `name` or a resource template by `uri`.
    CompletionRef,
    /// `params.taskId` is a task.
    TaskId,
}

impl Names {
    /// The member of params with the name; none for a completion, whose name lies deeper.
    pub const fn member(self) -> Option<&'static str> {
        match self {
            Self::Tool | Self::Prompt => Some("name"),
            Self::ResourceUri => Some("uri"),
            Self::TaskId => Some("taskId"),
            Self::CompletionRef | Self::Nothing => None,
        }
    }
}

impl Method {
    /// Whether its result is a page of a list.
    pub fn is_list(&self) -> bool {
        self.list.is_some()
    }

    /// The member of params that the header `Mcp-Name` must mirror (2026-07-28).
    pub fn mirrored(&self) -> Option<&'static str> {
        let is_mirrored = matches!(
            self.name,
            "tools/call"
                | "prompts/get"
                | "resources/read"
                | "tasks/get"
                | "tasks/update"
                | "tasks/cancel"
        );
        if is_mirrored { self.names.member() } else { None }
    }

    /// Whether the revision has it as a message of its own.
    pub fn is_in(&self, revision: Revision) -> bool {
        self.since <= revision && revision <= self.until
    }

    /// Whether some revision of the era has it as a message of its own.
    pub fn is_in_era(&self, era: Era) -> bool {
        match era {
            Era::Legacy => self.since.era() == Era::Legacy,
            Era::Modern => self.until.era() == Era::Modern,
        }
    }
}

/// Looks a method up; names are case-sensitive.
pub fn describe(method: &str) -> Option<&'static Method> {
    let index = TABLE.binary_search_by(|row| row.name.cmp(method)).ok()?;
    TABLE.get(index)
}

/// All methods, in the order of their names.
pub fn all() -> &'static [Method] {
    TABLE
}

const V2024: Revision = Revision::V2024_11_05;
const V2025: Revision = Revision::V2025_11_25;
const V2026: Revision = Revision::V2026_07_28;

const fn request(name: &'static str, direction: Direction) -> Method {
    Method {
        name,
        form: Form::Request,
        direction,
        names: Names::Nothing,
        list: None,
        has_cache_hints: false,
        may_ask: false,
        since: V2024,
        until: V2026,
        is_extension: false,
    }
}

const fn notification(name: &'static str, direction: Direction) -> Method {
    Method { form: Form::Notification, ..request(name, direction) }
}

const fn to_server(name: &'static str) -> Method {
    request(name, Direction::ToServer)
}

const fn list(name: &'static str, member: &'static str) -> Method {
    Method { list: Some(member), has_cache_hints: true, ..to_server(name) }
}

impl Method {
    const fn naming(self, names: Names) -> Self {
        Self { names, ..self }
    }

    const fn asking(self) -> Self {
        Self { may_ask: true, ..self }
    }

    const fn cached(self) -> Self {
        Self { has_cache_hints: true, ..self }
    }

    const fn span(self, since: Revision, until: Revision) -> Self {
        Self { since, until, ..self }
    }

    const fn extension(self) -> Self {
        Self { is_extension: true, since: V2026, ..self }
    }
}

use Direction::{Both, ToClient};

const TABLE: &[Method] = &[
    to_server("completion/complete").naming(Names::CompletionRef),
    request("elicitation/create", ToClient).span(Revision::V2025_06_18, V2025),
    to_server("initialize").span(V2024, V2025),
    to_server("logging/setLevel").span(V2024, V2025),
    notification("notifications/cancelled", Both),
    notification("notifications/elicitation/complete", ToClient).span(V2025, V2025),
    notification("notifications/initialized", Direction::ToServer).span(V2024, V2025),
    notification("notifications/message", ToClient),
    notification("notifications/progress", Both),
    notification("notifications/prompts/list_changed", ToClient),
    notification("notifications/resources/list_changed", ToClient),
    notification("notifications/resources/updated", ToClient).naming(Names::ResourceUri),
    notification("notifications/roots/list_changed", Direction::ToServer).span(V2024, V2025),
    notification("notifications/subscriptions/acknowledged", ToClient).span(V2026, V2026),
    notification("notifications/tasks", ToClient).naming(Names::TaskId).extension(),
    notification("notifications/tasks/status", Both).naming(Names::TaskId).span(V2025, V2025),
    notification("notifications/tools/list_changed", ToClient),
    request("ping", Both).span(V2024, V2025),
    to_server("prompts/get").naming(Names::Prompt).asking(),
    list("prompts/list", "prompts"),
    to_server("resources/directory/read").naming(Names::ResourceUri).extension(),
    list("resources/list", "resources"),
    to_server("resources/read").naming(Names::ResourceUri).asking().cached(),
    to_server("resources/subscribe").naming(Names::ResourceUri).span(V2024, V2025),
    list("resources/templates/list", "resourceTemplates"),
    to_server("resources/unsubscribe").naming(Names::ResourceUri).span(V2024, V2025),
    request("roots/list", ToClient).span(V2024, V2025),
    request("sampling/createMessage", ToClient).span(V2024, V2025),
    to_server("server/discover").cached().span(V2026, V2026),
    to_server("skills/get").extension(),
    to_server("skills/list").extension(),
    to_server("subscriptions/listen").span(V2026, V2026),
    request("tasks/cancel", Both).naming(Names::TaskId).span(V2025, V2026),
    request("tasks/get", Both).naming(Names::TaskId).span(V2025, V2026),
    request("tasks/list", Both).span(V2025, V2025),
    request("tasks/result", Both).naming(Names::TaskId).span(V2025, V2025),
    to_server("tasks/update").naming(Names::TaskId).extension(),
    to_server("tools/call").naming(Names::Tool).asking(),
    list("tools/list", "tools"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::revision;

    #[test]
    fn the_table_is_in_order_and_each_method_finds_itself() {
        assert!(all().is_sorted_by(|a, b| a.name < b.name));
        for method in all() {
            assert_eq!(describe(method.name), Some(method));
            let is_notification = method.name.starts_with("notifications/");
            assert_eq!(method.form == Form::Notification, is_notification, "{}", method.name);
            assert!(method.since <= method.until, "{}", method.name);
        }
        for unknown in ["", "tools", "Tools/list", "tools/list ", "zzz"] {
            assert_eq!(describe(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn each_revision_has_the_messages_of_its_schema() {
        // Methods of the requests and notifications that each schema defines; 2026-07-28 still
        // defines three requests that travel only inside results.
        let mut expected: BTreeSet<&str> = [
            "completion/complete",
            "initialize",
            "logging/setLevel",
            "notifications/cancelled",
            "notifications/initialized",
            "notifications/message",
            "notifications/progress",
            "notifications/prompts/list_changed",
            "notifications/resources/list_changed",
            "notifications/resources/updated",
            "notifications/roots/list_changed",
            "notifications/tools/list_changed",
            "ping",
            "prompts/get",
            "prompts/list",
            "resources/list",
            "resources/read",
            "resources/subscribe",
            "resources/templates/list",
            "resources/unsubscribe",
            "roots/list",
            "sampling/createMessage",
            "tools/call",
            "tools/list",
        ]
        .into();
        assert_eq!(defined_in(Revision::V2024_11_05), expected);
        assert_eq!(defined_in(Revision::V2025_03_26), expected);
        expected.insert("elicitation/create");
        assert_eq!(defined_in(Revision::V2025_06_18), expected);
        expected.extend([
            "notifications/elicitation/complete",
            "notifications/tasks/status",
            "tasks/cancel",
            "tasks/get",
            "tasks/list",
            "tasks/result",
        ]);
        assert_eq!(defined_in(Revision::V2025_11_25), expected);
        let modern: BTreeSet<&str> = [
            "completion/complete",
            "notifications/cancelled",
            "notifications/message",
            "notifications/progress",
            "notifications/prompts/list_changed",
            "notifications/resources/list_changed",
            "notifications/resources/updated",
            "notifications/subscriptions/acknowledged",
            "notifications/tools/list_changed",
            "prompts/get",
            "prompts/list",
            "resources/list",
            "resources/read",
            "resources/templates/list",
            "server/discover",
            "subscriptions/listen",
            // Of the tasks extension, under the names that 2025-11-25 had.
            "tasks/cancel",
            "tasks/get",
            "tools/call",
            "tools/list",
        ]
        .into();
        assert_eq!(defined_in(revision::LATEST), modern);
    }

    #[test]
    fn what_is_mirrored_cached_or_may_ask_is_what_the_specification_lists() {
        let names = |pick: fn(&Method) -> bool| -> Vec<&str> {
            all().iter().filter(|method| pick(method)).map(|method| method.name).collect()
        };
        assert_eq!(
            names(|m| m.mirrored().is_some()),
            [
                "prompts/get",
                "resources/read",
                "tasks/cancel",
                "tasks/get",
                "tasks/update",
                "tools/call"
            ]
        );
        assert_eq!(
            names(|m| m.has_cache_hints),
            [
                "prompts/list",
                "resources/list",
                "resources/read",
                "resources/templates/list",
                "server/discover",
                "tools/list"
            ]
        );
        assert_eq!(names(|m| m.may_ask), ["prompts/get", "resources/read", "tools/call"]);
        assert_eq!(names(Method::is_list).len(), 4);
    }

    #[test]
    fn eras_follow_from_revisions() {
        for (name, legacy, modern) in [
            ("ping", true, false),
            ("tools/call", true, true),
            ("server/discover", false, true),
            ("tasks/get", true, true),
            ("skills/list", false, true),
        ] {
            let method = describe(name).unwrap();
            assert_eq!(
                (method.is_in_era(Era::Legacy), method.is_in_era(Era::Modern)),
                (legacy, modern),
                "{name}"
            );
        }
    }

    fn defined_in(revision: Revision) -> BTreeSet<&'static str> {
        let core = all().iter().filter(|method| !method.is_extension);
        core.filter(|method| method.is_in(revision)).map(|method| method.name).collect()
    }
}
