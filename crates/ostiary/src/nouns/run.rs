//! Asking the gateway, and showing what it says.

use std::process::ExitCode;

use clap::{ArgMatches, FromArgMatches as _};
use reqwest::Method;
use serde_json::{Map, Value};

use super::line::{APP, JSON, OTHER, USER, WHICH};
use super::{Act, Asked, Noun, body};
use crate::commands::converse;
use crate::commands::remote::{Content, Remote, segment};
use crate::failure::Failure;
use crate::print;

/// Runs a command to its end.
pub(crate) fn run(asked: &Asked) -> Result<ExitCode, Failure> {
    if let Act::Own(own) = asked.verb.act {
        return (own.run)(&asked.given);
    }
    let remote = Remote::from_arg_matches(&asked.given).map_err(Failure::other)?;
    match asked.verb.act {
        Act::List => asked.list(&remote)?,
        Act::Show => asked.show(&asked.ask(&remote, Method::GET, asked.one()?, None)?),
        Act::Create | Act::Mint => asked.create(&remote)?,
        Act::Update => asked.update(&remote)?,
        Act::Delete => {
            converse(remote.send(Method::DELETE, &asked.one()?, Content::Nothing))?;
            let which = asked.which();
            print::line(format_args!("{} `{which}` is deleted", asked.noun.word));
        }
        Act::Empty(what) => {
            let path = format!("{}/{what}", asked.one()?);
            converse(remote.send(Method::DELETE, &path, Content::Nothing))?;
            let which = asked.which();
            print::line(format_args!("the {what} of {} `{which}` is deleted", asked.noun.word));
        }
        Act::Revoke => {
            let which = asked.which();
            let path = format!("{}/{}", asked.listed()?, segment(asked.noun.word, which)?);
            converse(remote.send(Method::DELETE, &path, Content::Nothing))?;
            print::line(format_args!("{} `{which}` is revoked", asked.noun.word));
        }
        Act::Preview => asked.preview(&remote)?,
        Act::Put(list, _) => {
            asked.show(&asked.ask(&remote, Method::PUT, asked.in_list(list)?, None)?);
        }
        Act::Take(list, _) => {
            asked.show(&asked.ask(&remote, Method::DELETE, asked.in_list(list)?, None)?);
        }
        Act::Own(_) => {}
    }
    Ok(ExitCode::SUCCESS)
}

impl Asked {
    fn list(&self, remote: &Remote) -> Result<(), Failure> {
        let path = self.listed()?;
        let items = Value::Array(converse(remote.list(&path))?);
        if self.given.get_flag(JSON) {
            print::line(items);
        } else {
            print::table(self.noun.columns, &items);
        }
        Ok(())
    }

    fn create(&self, remote: &Remote) -> Result<(), Failure> {
        let mut members = Map::new();
        members.insert(self.noun.subject.member.to_owned(), self.which().into());
        members.extend(body::of(self.noun, self.verb, &self.given)?);
        let made = self.ask(remote, Method::POST, self.all()?, Some(members))?;
        let secret = made.get("secret").and_then(Value::as_str);
        match secret.filter(|_| !self.given.get_flag(JSON)) {
            Some(secret) => print::line(secret),
            None => self.show(&made),
        }
        Ok(())
    }

    fn update(&self, remote: &Remote) -> Result<(), Failure> {
        let members = body::of(self.noun, self.verb, &self.given)?;
        if members.is_empty() {
            let text = format!("say what to change of the {}: see --help", self.noun.word);
            return Err(Failure::Usage(text));
        }
        self.show(&self.ask(remote, Method::PATCH, self.one()?, Some(members))?);
        Ok(())
    }

    /// What is listed with what it costs, list by list, and then what is hidden.
    fn preview(&self, remote: &Remote) -> Result<(), Failure> {
        let (name, value) = match (self.text(USER), self.text(APP)) {
            (Some(user), _) => ("user", user),
            (None, app) => ("app", app.unwrap_or_default()),
        };
        let path = format!("{}/preview?{name}={}", self.one()?, segment(name, value)?);
        let seen = converse(remote.ask(Method::GET, &path, Content::Nothing))?;
        if self.given.get_flag(JSON) {
            print::line(&seen);
            return Ok(());
        }
        let (mut shown, mut hidden) = (Vec::new(), Vec::new());
        for list in ["tools", "prompts", "resources", "resource_templates"] {
            let rows = |of: &str| seen[list][of].as_array().cloned().unwrap_or_default();
            let named = |mut row: Value| {
                row["list"] = list.into();
                row
            };
            shown.extend(rows("shown").into_iter().map(named));
            hidden.extend(rows("hidden").into_iter().map(named));
        }
        print::table(&["list", "name", "tokens"], &Value::Array(shown));
        print::line(format_args!("tokens in all: {}", seen["tokens"]));
        if !hidden.is_empty() {
            print::line("hidden:");
            print::table(&["list", "alias", "name", "because"], &Value::Array(hidden));
        }
        let missing = seen["missing"].as_array().cloned().unwrap_or_default();
        if !missing.is_empty() {
            print::line("not listed:");
            print::table(&["alias", "why"], &Value::Array(missing));
        }
        Ok(())
    }

    fn ask(
        &self,
        remote: &Remote,
        method: Method,
        path: String,
        members: Option<Map<String, Value>>,
    ) -> Result<Value, Failure> {
        let content = members.map_or(Content::Nothing, |it| Content::Json(Value::Object(it)));
        converse(remote.ask(method, &path, content))
    }

    fn show(&self, thing: &Value) {
        if self.given.get_flag(JSON) {
            print::line(thing);
        } else {
            print::members(thing);
        }
    }

    /// The address of those of the parents that were said, or of all.
    fn listed(&self) -> Result<String, Failure> {
        match self.noun.everywhere {
            Some(everywhere) if self.noun.parents().all(|it| self.text(it).is_none()) => {
                Ok(everywhere.to_owned())
            }
            _ => self.all(),
        }
    }

    /// The address of all of them.
    fn all(&self) -> Result<String, Failure> {
        address(self.noun, &self.given)
    }

    /// The address of the one that is meant.
    fn one(&self) -> Result<String, Failure> {
        let which = self.which();
        Ok(format!("{}/{}", self.all()?, segment(self.noun.word, which)?))
    }

    fn in_list(&self, list: &str) -> Result<String, Failure> {
        let other = self.text(OTHER).unwrap_or_default();
        Ok(format!("{}/{list}/{}", self.one()?, segment("such thing", other)?))
    }

    fn which(&self) -> &str {
        self.text(WHICH).unwrap_or_default()
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.given.get_one::<String>(name).map(String::as_str)
    }
}

fn address(noun: &Noun, given: &ArgMatches) -> Result<String, Failure> {
    let mut path = noun.path.to_owned();
    for parent in noun.parents() {
        let name = given.get_one::<String>(parent).map(String::as_str).unwrap_or_default();
        path = path.replace(&format!("{{{parent}}}"), segment(parent, name)?);
    }
    Ok(path)
}
