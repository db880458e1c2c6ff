//! From what was typed to the body of a request.

use clap::ArgMatches;
use clap::parser::ValueSource;
use serde_json::{Map, Value, json};

use super::{Field, Form, Noun, Verb, form};
use crate::commands::{duration, files};
use crate::failure::Failure;

/// The members that were said.
pub(super) fn of(
    noun: &Noun,
    verb: &Verb,
    given: &ArgMatches,
) -> Result<Map<String, Value>, Failure> {
    let mut body = Map::new();
    for field in noun.fields.iter().filter(|it| it.is_for(verb.act)) {
        let is_said = given.value_source(field.option).is_some_and(|it| {
            // A duration's usual value is meant when it is not typed, too.
            it == ValueSource::CommandLine || matches!(field.form, Form::Duration(_))
        });
        if is_said {
            set(&mut body, field, given)?;
        }
    }
    Ok(body)
}

fn set(body: &mut Map<String, Value>, field: &Field, given: &ArgMatches) -> Result<(), Failure> {
    let text = || given.get_one::<String>(field.option).map(String::as_str).unwrap_or_default();
    let texts = || given.get_many::<String>(field.option).into_iter().flatten();
    let value = match field.form {
        Form::Allowance => form::allowance(text())?,
        Form::Action => form::action(text())?,
        Form::Command => {
            let mut words = texts();
            let command = words.next();
            let args: Vec<&String> = words.collect();
            return transport(body, json!({"type": "stdio", "command": command, "args": args}));
        }
        Form::Duration(_) => duration(text()).map_err(Failure::Usage)?.as_secs().into(),
        Form::Expose => form::expose(text()),
        Form::Scope => form::scope(text())?,
        Form::Secrets => form::pairs(texts(), form::secret)?.into(),
        Form::Names => {
            // `--member ''` stands for none at all.
            texts().filter(|it| !it.is_empty()).cloned().collect::<Vec<_>>().into()
        }
        Form::File => files::read(text().as_ref())?.into(),
        Form::Json => {
            let read = files::read(text().as_ref())?;
            serde_json::from_str(&read)
                .map_err(|error| Failure::Usage(format!("`{}` is no JSON: {error}", text())))?
        }
        Form::ToolLabels => form::tool_labels(texts())?,
        Form::Number => given.get_one::<i64>(field.option).copied().into(),
        Form::OneOf(_) => text().into(),
        // What may be taken away is, by an empty text.
        Form::Text if text().is_empty() => Value::Null,
        Form::Text => text().into(),
        Form::Truth => given.get_one::<bool>(field.option).copied().into(),
        Form::Url(kind) => return transport(body, json!({"type": kind, "url": text()})),
        Form::Variables => {
            let variables = form::pairs(texts(), |it| Ok(it.to_owned()))?;
            let Some(Value::Object(transport)) = body.get_mut("transport") else {
                return Err(Failure::Usage("variables are for a command".to_owned()));
            };
            transport.insert("env".to_owned(), variables.into());
            return Ok(());
        }
    };
    body.insert(field.member.to_owned(), value);
    Ok(())
}

fn transport(body: &mut Map<String, Value>, value: Value) -> Result<(), Failure> {
    match body.insert("transport".to_owned(), value) {
        None => Ok(()),
        Some(_) => Err(Failure::Usage("say one of --http, --sse and -- COMMAND".to_owned())),
    }
}
