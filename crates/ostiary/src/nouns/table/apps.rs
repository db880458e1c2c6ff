//! What calls.

use super::{ADDRESSES, ENABLED, LABELS, RENAME, create, delete, list, show, update};
use crate::nouns::{Act, Field, Form, Noun, On, Subject, Verb};

pub(super) const APP: Noun = Noun {
    word: "app",
    path: "/apps",
    everywhere: None,
    about: "Clients that call: headless agents, each owned by a person",
    subject: Subject { member: "name", help: "Its name", usual: None },
    fields: &[
        RENAME,
        Field {
            option: "owner",
            member: "owner",
            form: Form::Text,
            on: On::Needed,
            help: "The user for whom it acts and who answers for it",
        },
        Field {
            option: "purpose",
            member: "purpose",
            form: Form::Text,
            on: On::Needed,
            help: "What it is for, in one line",
        },
        ADDRESSES,
        LABELS,
        ENABLED,
    ],
    columns: &["name", "owner", "purpose", "enabled", "id"],
    verbs: &[
        list("All apps", "ostiary app list"),
        show("One app", "ostiary app show triage-bot"),
        create(
            "Register an app",
            "ostiary app create triage-bot --owner ann --purpose 'sorts new issues'",
        ),
        update("Change an app, or turn one off or on", "ostiary app update triage-bot --owner bob"),
        delete("Delete an app with its tokens and connections", "ostiary app delete triage-bot"),
    ],
};

pub(super) const CONNECTION: Noun = Noun {
    word: "connection",
    path: "/apps/{app}/connections",
    everywhere: Some("/connections"),
    about: "Apps on gateways, with the credentials they use there",
    subject: Subject { member: "gateway", help: "The gateway, by name or id", usual: None },
    fields: &[
        Field {
            option: "identity",
            member: "identities",
            form: Form::Names,
            on: On::Both,
            help: "A credential for a server that asks for the caller's own; all of them, where they change ('' for none)",
        },
        Field {
            option: "picked",
            member: "picked",
            form: Form::Truth,
            on: On::Update,
            help: "Whether the app is at this gateway at the picker's URL, and so at no other",
        },
        ENABLED,
    ],
    columns: &["app", "gateway", "user", "identities", "picked", "enabled", "id"],
    verbs: &[
        list("The connections of an app, or of all", "ostiary connection list --app triage-bot"),
        show(
            "One connection, by its gateway or id",
            "ostiary connection show main --app triage-bot",
        ),
        create(
            "Connect an app to a gateway",
            "ostiary connection create main --app triage-bot --identity ann-jira",
        ),
        update(
            "Change a connection, or turn one off or on",
            "ostiary connection update main --app triage-bot --enabled false",
        ),
        delete(
            "Disconnect an app from a gateway",
            "ostiary connection delete main --app triage-bot",
        ),
    ],
};

pub(super) const TOKEN: Noun = Noun {
    word: "token",
    path: "/apps/{app}/tokens",
    everywhere: Some("/admin-tokens"),
    about: "What apps and administrators present",
    subject: Subject { member: "name", help: "Its name", usual: Some("cli") },
    fields: &[
        Field {
            option: "name",
            member: "name",
            form: Form::Text,
            on: On::Create,
            help: "The same, as an option",
        },
        Field {
            option: "for",
            member: "lifetime_seconds",
            form: Form::Duration("90d"),
            on: On::Create,
            help: "How long it is valid, such as 12h or 30d",
        },
    ],
    columns: &["name", "expires_at", "created_at", "id"],
    verbs: &[
        list(
            "An app's tokens, or those of administrators, without their secrets",
            "ostiary token list --app triage-bot",
        ),
        show("One token, without its secret", "ostiary token show cli --app triage-bot"),
        Verb {
            word: "create",
            act: Act::Mint,
            about: "Make a token; its secret is printed once, alone on standard output",
            example: "ostiary token create ci --app triage-bot --for 30d",
        },
        Verb {
            word: "revoke",
            act: Act::Revoke,
            about: "Revoke a token, or an administrator's where no app is said; what it is used for ends",
            example: "ostiary token revoke ci --app triage-bot",
        },
    ],
};
