//! Tenants, people and what groups them.

use super::{ADDRESSES, ENABLED, RENAME, create, delete, list, put, show, take, update};
use crate::nouns::{Act, Field, Form, Noun, On, Subject, Verb};

pub(super) const WORKSPACE: Noun = Noun {
    word: "workspace",
    path: "/workspaces",
    everywhere: None,
    about: "Tenants: everything else belongs to exactly one",
    subject: Subject { member: "name", help: "Its name", usual: None },
    fields: &[
        RENAME,
        Field {
            option: "durability",
            member: "durability",
            form: Form::OneOf(&["written", "synced"]),
            on: On::Both,
            help: "When a record counts as kept: written to the system, or synced to the disk",
        },
        ADDRESSES,
        Field {
            option: "force",
            member: "force",
            form: Form::Truth,
            on: On::Update,
            help: "Whether addresses are set even where one's own is not among them",
        },
    ],
    columns: &["name", "durability", "created_at", "id"],
    verbs: &[
        list("All workspaces", "ostiary workspace list"),
        show("One workspace", "ostiary workspace show default"),
        create("Make a workspace", "ostiary workspace create research --durability synced"),
        update("Change a workspace", "ostiary workspace update research --name labs"),
        delete("Delete an empty workspace", "ostiary workspace delete labs"),
    ],
};

pub(super) const ACCOUNT: Noun = Noun {
    word: "account",
    path: "/accounts",
    everywhere: None,
    about: "Accounts above all workspaces, each of which may do anything",
    subject: Subject { member: "name", help: "Its name", usual: None },
    fields: &[],
    columns: &["name", "password_set_at", "created_at", "id"],
    verbs: &[
        list("All of them", "ostiary account list"),
        Verb {
            word: "remove",
            act: Act::Delete,
            about: "Delete an account, with its passkeys and its sessions",
            example: "ostiary account remove ada",
        },
    ],
};

pub(super) const USER: Noun = Noun {
    word: "user",
    path: "/users",
    everywhere: None,
    about: "People",
    subject: Subject { member: "name", help: "Its name", usual: None },
    fields: &[
        RENAME,
        Field {
            option: "department",
            member: "department",
            form: Form::Text,
            on: On::Both,
            help: "Where the person works, for policies ('' for nowhere)",
        },
        Field {
            option: "clearance",
            member: "clearance",
            form: Form::Number,
            on: On::Both,
            help: "How much the person is cleared for, for policies; 0 where absent",
        },
        Field {
            option: "group",
            member: "groups",
            form: Form::Names,
            on: On::Both,
            help: "A group of the company, for policies; those that are not said go ('' for none)",
        },
        Field {
            option: "network",
            member: "network",
            form: Form::Text,
            on: On::Both,
            help: "From which addresses the person works, for policies, such as 10.0.0.0/8",
        },
        Field {
            option: "assurance",
            member: "assurance",
            form: Form::Number,
            on: On::Both,
            help: "How surely the person is recognised, for policies: 0, or 1 to 3 as NIST SP 800-63B has it",
        },
        ENABLED,
    ],
    columns: &["name", "teams", "enabled", "created_at", "id"],
    verbs: &[
        list("All users", "ostiary user list"),
        show("One user", "ostiary user show ann"),
        create("Add a user", "ostiary user create ann"),
        update("Change a user, or turn one off or on", "ostiary user update ann --enabled false"),
        delete("Delete a user who owns nothing", "ostiary user delete ann"),
        Verb {
            word: "reset-account",
            act: Act::Empty("account"),
            about: "Take password and passkeys from a user, end the sessions, and revoke the admin tokens",
            example: "ostiary user reset-account ann",
        },
    ],
};

pub(super) const TEAM: Noun = Noun {
    word: "team",
    path: "/teams",
    everywhere: None,
    about: "Groups of people, which gateways are granted to",
    subject: Subject { member: "name", help: "Its name", usual: None },
    fields: &[
        RENAME,
        Field {
            option: "member",
            member: "members",
            form: Form::Names,
            on: On::Both,
            help: "A user who is in it; those who are not said are not ('' for nobody)",
        },
    ],
    columns: &["name", "members", "created_at", "id"],
    verbs: &[
        list("All teams", "ostiary team list"),
        show("One team", "ostiary team show engineers"),
        create("Make a team", "ostiary team create engineers --member ann --member bob"),
        update("Change a team", "ostiary team update engineers --name platform"),
        delete("Delete a team that no gateway grants", "ostiary team delete platform"),
        put(
            "add-member",
            ("members", "user"),
            "Put a user into a team",
            "ostiary team add-member engineers ann",
        ),
        take(
            "remove-member",
            ("members", "user"),
            "Take a user out of a team; what that no longer entitles to ends at once",
            "ostiary team remove-member engineers ann",
        ),
    ],
};
