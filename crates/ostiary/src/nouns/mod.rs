//! `ostiary NOUN VERB`: what the admin API has, at the command line.
//!
//! A noun is a row of [`table`]: its address, its members, its verbs. `line` makes the grammar of
//! it, `body` a request's body of what was typed, and `run` asks the gateway. Nothing here knows
//! one noun from another.

mod body;
mod form;
mod line;
mod run;
mod table;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use clap::{ArgMatches, Command, FromArgMatches, Subcommand};

pub(crate) use run::run;

use crate::failure::Failure;

/// A kind of thing, as the admin API has it.
struct Noun {
    /// As in the address of one, and in sentences.
    word: &'static str,
    /// The address of all of them, below `/api/v1`, or below the workspace's where it does not
    /// begin with `/workspaces`. What it names in braces must be said by options of that name.
    path: &'static str,
    /// Where those of all parents are listed, if anywhere.
    everywhere: Option<&'static str>,
    about: &'static str,
    /// The member that a new one goes by, which is said first.
    subject: Subject,
    fields: &'static [Field],
    /// The members that stand in its table.
    columns: &'static [&'static str],
    verbs: &'static [Verb],
}

/// What stands first when one is made.
struct Subject {
    member: &'static str,
    help: &'static str,
    /// Taken where it is absent.
    usual: Option<&'static str>,
}

/// A member of a body, and the option that says it.
struct Field {
    option: &'static str,
    member: &'static str,
    form: Form,
    on: On,
    help: &'static str,
}

/// How an option's value is written, and what becomes of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `rate:AMOUNT/PERIOD[:BURST]` or `quota:AMOUNT/WINDOW`.
    Allowance,
    /// What a rule does: `redact`, `hash`, `mask[:KEEP]`, `block:MESSAGE`, `replace:WITH`.
    Action,
    /// The words after `--`: a program and its arguments.
    Command,
    /// `90s`, `15m`, `12h` or `30d`; seconds in the body.
    Duration(&'static str),
    /// `all`, `none`, or names with commas between them.
    Expose,
    /// Whom a limit counts together: `workspace`, a kind, or `KIND/NAME`.
    Scope,
    /// A file, `-` for standard input, whose text is the value.
    File,
    /// A file, `-` for standard input, with the value in JSON.
    Json,
    /// `NAME=WORD,…`, as often as needed: what tools do, and their labels.
    ToolLabels,
    /// `NAME=REFERENCE`, as often as needed; the secret itself stands in no command line.
    Secrets,
    /// Names, as often as needed.
    Names,
    Number,
    /// One of these.
    OneOf(&'static [&'static str]),
    Text,
    /// `true` or `false`.
    Truth,
    /// A URL, of a transport of this type.
    Url(&'static str),
    /// `NAME=VALUE`, as often as needed, beside the command.
    Variables,
}

/// When an option may be said.
#[derive(Clone, Copy, PartialEq, Eq)]
enum On {
    Create,
    Update,
    Both,
    /// It must be, to make one; and may be, to change one.
    Needed,
    /// It must be, to make one; it cannot be changed.
    Fixed,
}

struct Verb {
    word: &'static str,
    act: Act,
    about: &'static str,
    example: &'static str,
}

#[derive(Clone, Copy)]
enum Act {
    List,
    Show,
    Create,
    /// As `Create`; the answer holds a secret, which is printed alone.
    Mint,
    Update,
    Delete,
    /// As `Delete`; where the parents are not said, of those that are listed everywhere.
    Revoke,
    /// Puts something into it: the list, and what is in it.
    Put(&'static str, &'static str),
    /// Takes it out.
    Take(&'static str, &'static str),
    /// Deletes something that it has one of.
    Empty(&'static str),
    /// Shows what clients of somebody see on it.
    Preview,
    /// Is no request about one of them.
    Own(&'static Own),
}

/// A verb with a grammar and an act of its own.
struct Own {
    grammar: fn(Command) -> Command,
    run: fn(&ArgMatches) -> Result<ExitCode, Failure>,
}

/// A noun and a verb, and what was typed after them.
pub(crate) struct Asked {
    noun: &'static Noun,
    verb: &'static Verb,
    given: ArgMatches,
}

impl Noun {
    /// What its address names in braces.
    fn parents(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|it| it.strip_prefix('{')?.strip_suffix('}'))
    }
}

impl FromArgMatches for Asked {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let missing = || clap::Error::new(clap::error::ErrorKind::MissingSubcommand);
        let (word, inside) = matches.subcommand().ok_or_else(missing)?;
        let noun = table::NOUNS.iter().find(|it| it.word == word).ok_or_else(missing)?;
        let (word, given) = inside.subcommand().ok_or_else(missing)?;
        let verb = noun.verbs.iter().find(|it| it.word == word).ok_or_else(missing)?;
        Ok(Self { noun, verb, given: given.clone() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Subcommand for Asked {
    fn augment_subcommands(command: Command) -> Command {
        command.subcommands(table::NOUNS.iter().map(|it| line::noun(it)))
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        table::NOUNS.iter().any(|it| it.word == name)
    }
}
