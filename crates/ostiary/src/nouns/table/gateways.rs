//! Gateways, with what stands on them.

use super::{ADDRESSES, ENABLED, POSITION, RENAME, create, delete, list, put, show, take, update};
use crate::nouns::{Act, Field, Form, Noun, On, Subject, Verb};

pub(super) const GATEWAY: Noun = Noun {
    word: "gateway",
    path: "/gateways",
    everywhere: None,
    about: "Governed URLs, with their servers, teams and rules",
    subject: Subject { member: "name", help: "Its name, which is in its URL", usual: None },
    fields: &[
        RENAME,
        Field {
            option: "team",
            member: "teams",
            form: Form::Names,
            on: On::Both,
            help: "A team that may use it; those that are not said may not ('' for none)",
        },
        ADDRESSES,
        Field {
            option: "max-autonomy-seconds",
            member: "max_autonomy_seconds",
            form: Form::Number,
            on: On::Both,
            help: "For how many seconds calls are answered while the database is away, 60 at most; 0 for not at all",
        },
        ENABLED,
    ],
    columns: &["name", "teams", "enabled", "created_at", "id"],
    verbs: &[
        list("All gateways", "ostiary gateway list"),
        show("One gateway", "ostiary gateway show main"),
        create("Make a gateway", "ostiary gateway create main --team engineers"),
        update(
            "Change a gateway, or turn one off or on",
            "ostiary gateway update main --enabled true",
        ),
        delete("Delete a gateway that no app is connected to", "ostiary gateway delete main"),
        Verb {
            word: "preview",
            act: Act::Preview,
            about: "What somebody's client is shown, how many tokens it is, and what is hidden and why",
            example: "ostiary gateway preview main --user ann",
        },
        put(
            "grant",
            ("teams", "team"),
            "Let a team use a gateway",
            "ostiary gateway grant main engineers",
        ),
        take(
            "revoke",
            ("teams", "team"),
            "Let a team use a gateway no more; what that ends ends at once",
            "ostiary gateway revoke main engineers",
        ),
    ],
};

pub(super) const ASSIGNMENT: Noun = Noun {
    word: "assignment",
    path: "/gateways/{gateway}/assignments",
    everywhere: None,
    about: "Servers on gateways: whose credential is used, and what is exposed",
    subject: Subject { member: "server", help: "The server, by name or id", usual: None },
    fields: &[
        Field {
            option: "alias",
            member: "alias",
            form: Form::Text,
            on: On::Both,
            help: "The prefix of its tools on the gateway; the server's name where absent",
        },
        Field {
            option: "scheme",
            member: "scheme",
            form: Form::OneOf(&["open", "shared", "own"]),
            on: On::Both,
            help: "Whose credential goes upstream: none, the one named here, or the caller's own",
        },
        Field {
            option: "identity",
            member: "identity",
            form: Form::Text,
            on: On::Both,
            help: "The identity to use, with the scheme `shared` ('' for none)",
        },
        Field {
            option: "tools",
            member: "tools",
            form: Form::Expose,
            on: On::Both,
            help: "Which of its tools are exposed",
        },
        Field {
            option: "prompts",
            member: "prompts",
            form: Form::Expose,
            on: On::Both,
            help: "Which of its prompts are exposed",
        },
        Field {
            option: "resources",
            member: "resources",
            form: Form::Expose,
            on: On::Both,
            help: "Which of its resources are exposed, by URI",
        },
        POSITION,
        ENABLED,
    ],
    columns: &["gateway", "alias", "server", "scheme", "identity", "position", "enabled", "id"],
    verbs: &[
        list("The servers on a gateway, by alias", "ostiary assignment list --gateway main"),
        show("One assignment, by its alias or id", "ostiary assignment show jira --gateway main"),
        create(
            "Put a server on a gateway",
            "ostiary assignment create jira --gateway main --scheme shared --identity jira-service --tools search,read_issue",
        ),
        update(
            "Change an assignment, or turn one off or on",
            "ostiary assignment update jira --gateway main --tools all",
        ),
        delete("Take a server off a gateway", "ostiary assignment delete jira --gateway main"),
    ],
};

pub(super) const RULE: Noun = Noun {
    word: "rule",
    path: "/gateways/{gateway}/rules",
    everywhere: None,
    about: "Content rules of gateways",
    subject: Subject { member: "name", help: "Its name", usual: None },
    fields: &[
        RENAME,
        Field {
            option: "pattern",
            member: "pattern",
            form: Form::Text,
            on: On::Needed,
            help: "A regular expression, without look-around and back-references",
        },
        Field {
            option: "action",
            member: "action",
            form: Form::Action,
            on: On::Needed,
            help: "What it does: redact, hash, mask, mask:4, block:MESSAGE or replace:WITH",
        },
        Field {
            option: "on-request",
            member: "on_request",
            form: Form::Truth,
            on: On::Both,
            help: "Whether it looks at arguments",
        },
        Field {
            option: "on-response",
            member: "on_response",
            form: Form::Truth,
            on: On::Both,
            help: "Whether it looks at results",
        },
        Field {
            option: "tool",
            member: "tools",
            form: Form::Names,
            on: On::Both,
            help: "A tool that it is limited to; all where none is said",
        },
        Field {
            option: "observe-only",
            member: "observe_only",
            form: Form::Truth,
            on: On::Both,
            help: "Records what it would have done, and does nothing",
        },
        POSITION,
    ],
    columns: &["name", "pattern", "action/type", "tools", "observe_only", "position", "id"],
    verbs: &[
        list("The rules of a gateway", "ostiary rule list --gateway main"),
        show("One rule", "ostiary rule show cards --gateway main"),
        create(
            "Add a rule to a gateway",
            "ostiary rule create cards --gateway main --pattern '\\b\\d{16}\\b' --action mask:4",
        ),
        update("Change a rule", "ostiary rule update cards --gateway main --observe-only true"),
        delete("Delete a rule", "ostiary rule delete cards --gateway main"),
    ],
};
