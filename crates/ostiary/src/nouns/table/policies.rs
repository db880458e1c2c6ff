//! What takes away from what is granted.

use super::{RENAME, create, delete, list, show, update};
use crate::commands::policy;
use crate::nouns::{Act, Field, Form, Noun, On, Own, Subject, Verb};

pub(super) const POLICY: Noun = Noun {
    word: "policy",
    path: "/policies",
    everywhere: None,
    about: "What takes away from what is granted, in Cedar",
    subject: Subject { member: "name", help: "Its name", usual: None },
    fields: &[
        RENAME,
        Field {
            option: "text",
            member: "text",
            form: Form::File,
            on: On::Needed,
            help: "The file with its text, - for standard input",
        },
        Field {
            option: "tests",
            member: "tests",
            form: Form::Json,
            on: On::Both,
            help: "The file with its tests, a list in JSON",
        },
        Field {
            option: "enabled",
            member: "enabled",
            form: Form::Truth,
            on: On::Both,
            help: "Whether it counts",
        },
    ],
    columns: &["name", "enabled", "created_at", "id"],
    verbs: &[
        list("All policies", "ostiary policy list"),
        show("One policy", "ostiary policy show office-hours"),
        create("Make a policy", "ostiary policy create office-hours --text office-hours.cedar"),
        update("Change a policy", "ostiary policy update office-hours --enabled false"),
        delete("Delete a policy", "ostiary policy delete office-hours"),
        Verb {
            word: "schema",
            act: Act::Own(&Own { grammar: policy::schema_grammar, run: policy::schema }),
            about: "Print the schema that policies are checked against",
            example: "ostiary policy schema",
        },
        Verb {
            word: "test",
            act: Act::Own(&Own { grammar: policy::test_grammar, run: policy::test }),
            about: "Run the tests of policies: of a file, without a gateway, or of one that is saved",
            example: "ostiary policy test -f policies.yaml",
        },
        Verb {
            word: "simulate",
            act: Act::Own(&Own { grammar: policy::simulate_grammar, run: policy::simulate }),
            about: "Tell what the policies of a file would change of what has been called",
            example: "ostiary policy simulate -f policies.yaml --last 5000",
        },
    ],
};
