//! The grammar of a noun's commands.

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Args as _, Command, value_parser};

use super::{Act, Field, Form, Noun, On, Verb};
use crate::commands::remote::Remote;

/// The first positional argument: which one is meant.
pub(super) const WHICH: &str = "which";
/// The second: what is put into it, or taken out.
pub(super) const OTHER: &str = "other";
pub(super) const JSON: &str = "json";
/// Whose client looks.
pub(super) const USER: &str = "user";
pub(super) const APP: &str = "app";

pub(super) fn noun(noun: &'static Noun) -> Command {
    Command::new(noun.word)
        .about(noun.about)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(noun.verbs.iter().map(|it| verb(noun, it)))
}

fn verb(noun: &'static Noun, verb: &'static Verb) -> Command {
    let mut command = Command::new(verb.word).after_help(format!("Example:\n  {}", verb.example));
    if let Act::Own(own) = verb.act {
        return (own.grammar)(command.about(verb.about));
    }
    let has_which = !matches!(verb.act, Act::List | Act::Create | Act::Mint);
    if has_which {
        let help = format!("The {}, by {} or id", noun.word, noun.subject.member);
        command =
            command.arg(Arg::new(WHICH).value_name(shout(noun.word)).help(help).required(true));
    }
    match verb.act {
        Act::Create | Act::Mint => command = command.arg(subject(noun)),
        Act::Put(_, other) | Act::Take(_, other) => {
            let help = format!("The {other}, by name or id");
            command =
                command.arg(Arg::new(OTHER).value_name(shout(other)).help(help).required(true));
        }
        Act::Preview => {
            let whose = |name: &'static str, other: &'static str, help: &'static str| {
                let arg = Arg::new(name).long(name).value_name("NAME").help(help);
                arg.required_unless_present(other).conflicts_with(other)
            };
            command = command.arg(whose(USER, APP, "Whose client looks, by name or id"));
            command = command.arg(whose(APP, USER, "Which app looks, by name or id"));
        }
        Act::List | Act::Show | Act::Update => {}
        Act::Delete | Act::Empty(_) | Act::Revoke | Act::Own(_) => {}
    }
    for parent in noun.parents() {
        let is_optional = matches!(verb.act, Act::List | Act::Revoke) && noun.everywhere.is_some();
        let help = format!("The {parent} that it belongs to, by name or id");
        let arg = Arg::new(parent).long(parent).value_name("NAME").help(help);
        command = command.arg(arg.required(!is_optional));
    }
    let fields = noun.fields.iter().filter(|it| it.is_for(verb.act));
    command = command.args(fields.map(|it| option(it, verb.act)));
    if !matches!(verb.act, Act::Delete | Act::Empty(_) | Act::Revoke) {
        let help = "As JSON";
        let arg = Arg::new(JSON).long(JSON).help(help).action(ArgAction::SetTrue);
        command = command.arg(arg);
    }
    let command = Remote::augment_args(command).about(verb.about);
    // A workspace is in no other, and neither is what is above them.
    if ["/workspaces", "/accounts"].iter().any(|it| noun.path.starts_with(it)) {
        command.mut_arg("workspace", |it| it.hide(true))
    } else {
        command
    }
}

fn subject(noun: &'static Noun) -> Arg {
    let arg = Arg::new(WHICH).value_name(shout(noun.subject.member)).help(noun.subject.help);
    match noun.subject.usual {
        Some(usual) => arg.default_value(usual),
        None => arg.required(true),
    }
}

fn option(field: &'static Field, act: Act) -> Arg {
    let is_needed = matches!(act, Act::Create | Act::Mint);
    let is_needed = is_needed && matches!(field.on, On::Needed | On::Fixed);
    let arg = Arg::new(field.option).help(field.help).required(is_needed);
    let named = arg.clone().long(field.option);
    match field.form {
        Form::Action => named.value_name("ACTION"),
        Form::Allowance => named.value_name("rate:…|quota:…"),
        Form::Command => arg.value_name("COMMAND").num_args(1..).last(true),
        Form::Duration(usual) => named.value_name("DURATION").default_value(usual),
        Form::Expose => named.value_name("all|none|NAME,…"),
        Form::Scope => named.value_name("KIND[/NAME]"),
        Form::Secrets => named.value_name("NAME=REFERENCE").action(ArgAction::Append),
        Form::File | Form::Json => named.value_name("FILE"),
        Form::ToolLabels => named.value_name("TOOL=WORD,…").action(ArgAction::Append),
        Form::Names => named.value_name("NAME").action(ArgAction::Append),
        Form::Number => named.value_name("NUMBER").value_parser(value_parser!(i64)),
        Form::OneOf(words) => named.value_parser(PossibleValuesParser::new(words)),
        Form::Text => named.value_name("TEXT"),
        Form::Truth => named.value_name("true|false").value_parser(value_parser!(bool)),
        Form::Url(_) => named.value_name("URL"),
        Form::Variables => named.value_name("NAME=VALUE").action(ArgAction::Append),
    }
}

fn shout(word: &str) -> String {
    word.to_uppercase()
}

impl Field {
    /// Whether a verb takes it.
    pub(super) fn is_for(&self, act: Act) -> bool {
        match act {
            Act::Create | Act::Mint => self.on != On::Update,
            Act::Update => matches!(self.on, On::Update | On::Both | On::Needed),
            Act::List | Act::Show | Act::Delete | Act::Empty(_) | Act::Revoke => false,
            Act::Put(..) | Act::Take(..) | Act::Preview | Act::Own(_) => false,
        }
    }
}
