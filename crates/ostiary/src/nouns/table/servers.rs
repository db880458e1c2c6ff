//! Servers, and what they are asked with.

use super::{ENABLED, LABELS, RENAME, create, delete, list, show, update};
use crate::nouns::{Field, Form, Noun, On, Subject};

pub(super) const SERVER: Noun = Noun {
    word: "server",
    path: "/servers",
    everywhere: None,
    about: "Upstream MCP servers; registering one exposes it to nobody",
    subject: Subject { member: "name", help: "Its name", usual: None },
    fields: &[
        RENAME,
        Field {
            option: "http",
            member: "transport",
            form: Form::Url("http"),
            on: On::Both,
            help: "It speaks Streamable HTTP at this URL",
        },
        Field {
            option: "sse",
            member: "transport",
            form: Form::Url("sse"),
            on: On::Both,
            help: "It speaks HTTP+SSE, the transport of 2024-11-05, at this URL",
        },
        Field {
            option: "command",
            member: "transport",
            form: Form::Command,
            on: On::Both,
            help: "A program that speaks on its standard streams, and its arguments; never a shell",
        },
        Field {
            option: "env",
            member: "env",
            form: Form::Variables,
            on: On::Both,
            help: "A variable in the program's environment; it is shown to administrators",
        },
        Field {
            option: "era",
            member: "era",
            form: Form::OneOf(&["auto", "modern", "legacy"]),
            on: On::Both,
            help: "Which protocol era to speak to it",
        },
        Field {
            option: "tasks",
            member: "tasks",
            form: Form::OneOf(&["relay", "wait"]),
            on: On::Both,
            help: "What becomes of its tasks where the client knows none",
        },
        Field {
            option: "roots",
            member: "roots",
            form: Form::Truth,
            on: On::Both,
            help: "Whether a legacy one may ask modern clients for their folders",
        },
        Field {
            option: "review",
            member: "review",
            form: Form::OneOf(&["on", "off"]),
            on: On::Both,
            help: "Whether what it lists is hidden until it is approved; on where absent",
        },
        LABELS,
        Field {
            option: "tool-label",
            member: "tool_labels",
            form: Form::ToolLabels,
            on: On::Both,
            help: "What a tool does and its labels, for policies, as create_issue=destructive,pii; those that are not said go ('' for none)",
        },
        ENABLED,
    ],
    columns: &["name", "transport/type", "transport/url", "era", "status/state", "enabled", "id"],
    verbs: &[
        list("All servers", "ostiary server list"),
        show("One server, and how it is doing", "ostiary server show jira"),
        create(
            "Register a server",
            "ostiary server create files -- mcp-server-filesystem /srv/shared",
        ),
        update(
            "Change a server, or turn one off or on",
            "ostiary server update jira --http https://mcp.example.com/v2",
        ),
        delete("Delete a server that nothing uses", "ostiary server delete jira"),
    ],
};

pub(super) const IDENTITY: Noun = Noun {
    word: "identity",
    path: "/identities",
    everywhere: None,
    about: "Credentials for servers, sealed",
    subject: Subject { member: "name", help: "Its name", usual: None },
    fields: &[
        RENAME,
        Field {
            option: "server",
            member: "server",
            form: Form::Text,
            on: On::Fixed,
            help: "The server that it is for",
        },
        Field {
            option: "owner",
            member: "owner",
            form: Form::Text,
            on: On::Create,
            help: "The user whose it is; shared where absent",
        },
        Field {
            option: "header",
            member: "headers",
            form: Form::Secrets,
            on: On::Needed,
            help: "A header, and where its value is: env:NAME, file:PATH or stdin:, perhaps after a word; all of them, where they change",
        },
        ENABLED,
    ],
    columns: &["name", "server", "owner", "headers", "enabled", "id"],
    verbs: &[
        list("All identities, without their values", "ostiary identity list"),
        show("One identity, without its values", "ostiary identity show jira-service"),
        create(
            "Keep a credential for a server",
            "ostiary identity create jira-service --server jira --header 'Authorization=Bearer env:JIRA_TOKEN'",
        ),
        update(
            "Change an identity, or turn one off or on",
            "ostiary identity update jira-service --header 'Authorization=Bearer file:jira.token'",
        ),
        delete("Delete an identity that nothing uses", "ostiary identity delete jira-service"),
    ],
};
