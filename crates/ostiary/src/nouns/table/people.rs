//! Tenants, people and what groups them.

use super::{ADDRESSES, ENABLED, RENAME, create, delete, list, put, show, take, update};
use crate::nouns::{Field, Form, Noun, On, Subject};

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

pub(super) const USER: Noun = Noun {
    word: "user",
    path: "/users",
    everywhere: None,
    about: "People",
    subject: Subject { member: "name", help: "Its name", usual: None },
    fields: &[RENAME, ENABLED],
    columns: &["name", "teams", "enabled", "created_at", "id"],
    verbs: &[
        list("All users", "ostiary user list"),
        show("One user", "ostiary user show ann"),
        create("Add a user", "ostiary user create ann"),
        update("Change a user, or turn one off or on", "ostiary user update ann --enabled false"),
        delete("Delete a user who owns nothing", "ostiary user delete ann"),
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
