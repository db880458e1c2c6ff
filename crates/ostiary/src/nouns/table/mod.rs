//! All nouns. What a row says of an address is compared with the API's own document by a test.

mod apps;
mod gateways;
mod people;
mod policies;
mod roles;
mod servers;

use super::{Act, Field, Form, Noun, On, Verb};

pub(super) const NOUNS: &[&Noun] = &[
    &people::WORKSPACE,
    &people::ACCOUNT,
    &people::USER,
    &people::TEAM,
    &servers::SERVER,
    &servers::IDENTITY,
    &gateways::GATEWAY,
    &gateways::ASSIGNMENT,
    &gateways::RULE,
    &apps::APP,
    &apps::CONNECTION,
    &apps::TOKEN,
    &roles::USER_TOKEN,
    &roles::ROLE,
    &roles::GRANT,
    &roles::LIMIT,
    &roles::USAGE,
    &policies::POLICY,
];

const RENAME: Field = Field {
    option: "name",
    member: "name",
    form: Form::Text,
    on: On::Update,
    help: "Another name",
};

const LABELS: Field = Field {
    option: "label",
    member: "labels",
    form: Form::Names,
    on: On::Both,
    help: "A label, for policies; those that are not said go ('' for none)",
};

const ENABLED: Field = Field {
    option: "enabled",
    member: "enabled",
    form: Form::Truth,
    on: On::Update,
    help: "Whether it may be used",
};

const ADDRESSES: Field = Field {
    option: "address",
    member: "addresses",
    form: Form::Names,
    on: On::Both,
    help: "A network from which it may be used, such as 192.0.2.0/24; from no other than those that are said ('' for everywhere)",
};

const POSITION: Field = Field {
    option: "position",
    member: "position",
    form: Form::Number,
    on: On::Both,
    help: "Where it stands: lower ones first; last where absent",
};

const fn list(about: &'static str, example: &'static str) -> Verb {
    Verb { word: "list", act: Act::List, about, example }
}

const fn show(about: &'static str, example: &'static str) -> Verb {
    Verb { word: "show", act: Act::Show, about, example }
}

const fn create(about: &'static str, example: &'static str) -> Verb {
    Verb { word: "create", act: Act::Create, about, example }
}

const fn update(about: &'static str, example: &'static str) -> Verb {
    Verb { word: "update", act: Act::Update, about, example }
}

const fn delete(about: &'static str, example: &'static str) -> Verb {
    Verb { word: "delete", act: Act::Delete, about, example }
}

const fn put(
    word: &'static str,
    (list, other): (&'static str, &'static str),
    about: &'static str,
    example: &'static str,
) -> Verb {
    Verb { word, act: Act::Put(list, other), about, example }
}

const fn take(
    word: &'static str,
    (list, other): (&'static str, &'static str),
    about: &'static str,
    example: &'static str,
) -> Verb {
    Verb { word, act: Act::Take(list, other), about, example }
}
