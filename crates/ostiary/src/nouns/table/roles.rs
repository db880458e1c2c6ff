//! Who may administer what, and how much may be used.

use super::{RENAME, create, delete, list, show, update};
use crate::nouns::{Act, Field, Form, Noun, On, Subject, Verb};

const NAME: Subject = Subject { member: "name", help: "Its name", usual: None };

pub(super) const ROLE: Noun = Noun {
    word: "role",
    path: "/roles",
    everywhere: None,
    about: "Sets of capabilities",
    subject: NAME,
    fields: &[
        RENAME,
        Field {
            option: "capability",
            member: "capabilities",
            form: Form::Names,
            on: On::Needed,
            help: "What it allows, such as servers:read; what is not said is not allowed ('' for nothing)",
        },
    ],
    columns: &["name", "capabilities", "built_in", "id"],
    verbs: &[
        list("All roles", "ostiary role list"),
        show("One role", "ostiary role show workspace-admin"),
        create(
            "Make a role",
            "ostiary role create keeper --capability servers:read --capability servers:write",
        ),
        update("Change a role", "ostiary role update keeper --capability servers:read"),
        delete("Delete a role that nobody has been granted", "ostiary role delete keeper"),
    ],
};

pub(super) const GRANT: Noun = Noun {
    word: "grant",
    path: "/role-grants",
    everywhere: None,
    about: "Roles given to users and teams",
    subject: NAME,
    fields: &[
        Field {
            option: "role",
            member: "role",
            form: Form::Text,
            on: On::Fixed,
            help: "The role, by name or id",
        },
        Field {
            option: "user",
            member: "user",
            form: Form::Text,
            on: On::Create,
            help: "The user who gets it; or say --team",
        },
        Field {
            option: "team",
            member: "team",
            form: Form::Text,
            on: On::Create,
            help: "The team that gets it",
        },
        Field {
            option: "on",
            member: "on",
            form: Form::Text,
            on: On::Create,
            help: "What it is for: workspace, as where absent, gateway/NAME, server/NAME or team/NAME",
        },
    ],
    columns: &["name", "role", "user", "team", "on", "id"],
    verbs: &[
        list("All role grants", "ostiary grant list"),
        show("One role grant", "ostiary grant show ann-keeps"),
        create(
            "Give a role",
            "ostiary grant create ann-keeps --role keeper --user ann --on gateway/main",
        ),
        delete("Take a role back", "ostiary grant delete ann-keeps"),
    ],
};

pub(super) const USER_TOKEN: Noun = Noun {
    word: "user-token",
    path: "/users/{user}/admin-tokens",
    everywhere: None,
    about: "What users present who administer",
    subject: Subject { member: "name", help: "Its name", usual: Some("cli") },
    fields: &[
        Field {
            option: "for",
            member: "lifetime_seconds",
            form: Form::Duration("90d"),
            on: On::Create,
            help: "How long it is valid, such as 12h or 30d",
        },
        Field {
            option: "capability",
            member: "capabilities",
            form: Form::Names,
            on: On::Create,
            help: "What it is good for, such as servers:read; all that its user may do where absent",
        },
    ],
    columns: &["name", "capabilities", "expires_at", "created_at", "id"],
    verbs: &[
        list("A user's tokens, without their secrets", "ostiary user-token list --user ann"),
        show("One token, without its secret", "ostiary user-token show cli --user ann"),
        Verb {
            word: "create",
            act: Act::Mint,
            about: "Make a token; its secret is printed once, alone on standard output",
            example: "ostiary user-token create --user ann --capability servers:read --for 30d",
        },
        Verb {
            word: "revoke",
            act: Act::Delete,
            about: "Revoke a token; what it is used for ends",
            example: "ostiary user-token revoke cli --user ann",
        },
    ],
};

pub(super) const LIMIT: Noun = Noun {
    word: "limit",
    path: "/limits",
    everywhere: None,
    about: "How much may be used, and by whom together",
    subject: NAME,
    fields: &[
        RENAME,
        Field {
            option: "scope",
            member: "scope",
            form: Form::Scope,
            on: On::Fixed,
            help: "Whose use is counted together: workspace, or each user, app, team, gateway, server or tool; or that of one, as user/ann or tool/jira/search",
        },
        Field {
            option: "unit",
            member: "unit",
            form: Form::OneOf(&["calls", "tokens", "bytes"]),
            on: On::Fixed,
            help: "What is counted",
        },
        Field {
            option: "direction",
            member: "direction",
            form: Form::OneOf(&["request", "response", "both"]),
            on: On::Create,
            help: "Which messages are counted, of tokens and bytes; both where absent",
        },
        Field {
            option: "allow",
            member: "allowance",
            form: Form::Allowance,
            on: On::Needed,
            help: "How much: a rate such as rate:600/minute, rate:600/minute:20 with at most 20 at once, or a quota such as quota:10000/month",
        },
        Field {
            option: "gateway",
            member: "gateway",
            form: Form::Text,
            on: On::Both,
            help: "The only gateway on which it counts ('' for all)",
        },
    ],
    columns: &["name", "scope", "unit", "direction", "allowance", "gateway", "id"],
    verbs: &[
        list("All limits", "ostiary limit list"),
        show("One limit", "ostiary limit show each-app"),
        create(
            "Limit what may be used",
            "ostiary limit create each-app --scope app --unit calls --allow rate:600/minute",
        ),
        update("Change a limit", "ostiary limit update each-app --allow rate:900/minute"),
        delete("Delete a limit, and what it has counted", "ostiary limit delete each-app"),
    ],
};

pub(super) const USAGE: Noun = Noun {
    word: "usage",
    path: "/limits/{limit}/usage",
    everywhere: None,
    about: "What limits have counted",
    subject: NAME,
    fields: &[],
    columns: &["name", "tool", "used", "most", "until", "id"],
    verbs: &[list("Who has used how much of a limit", "ostiary usage list --limit each-app")],
};
