//! The tools: one for each operation of the admin API, made from the document that describes it.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::http::Method;
use mcp::json::quote;
use mcp::revision::Revision;
use serde_json::{Map, Value, json};

use super::schema::{Definitions, Schemas, one_line};
use crate::api::{Needs, Rights};

/// All tools, by name.
pub(super) struct Tools(Vec<Tool>);

/// An operation, as a tool.
pub(super) struct Tool {
    /// The id of the operation.
    pub(super) name: String,
    pub(super) method: Method,
    /// The address as the router has it.
    pub(super) template: Arc<str>,
    pub(super) parameters: Vec<Parameter>,
    /// Whether it takes a body, and whether it must be there.
    pub(super) body: Option<bool>,
    /// Whether it is done only with `confirm`.
    pub(super) is_final: bool,
    needs: Needs,
    toolset: String,
    /// What a list shows of it after its name and title, as members of an object.
    shown: String,
}

/// Something that an address or a header says.
pub(super) struct Parameter {
    /// What the tool calls it.
    pub(super) argument: String,
    /// What the API calls it.
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) is_required: bool,
}

/// Where a parameter goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Path,
    Query,
    Header,
}

/// What somebody wants to have of the tools: the `toolsets` and `read_only` of the URL.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Choice {
    /// All where absent.
    toolsets: Option<BTreeSet<String>>,
    reads_only: bool,
}

/// Operations that are no tools, and why.
pub(super) const LEFT_OUT: [(&str, &str); 3] = [
    ("show_openapi", "the list of tools says the same"),
    ("stream_changes", "it has no end"),
    ("stream_records", "it has no end"),
];

/// How people sign in is theirs: no agent changes it, and no password is part of a conversation.
fn is_peoples_own(path: &str) -> bool {
    let first = path.strip_prefix("/api/v1").unwrap_or(path).split('/').nth(1);
    first.is_some_and(|it| ["session", "sessions", "accounts"].contains(&it))
        || path.ends_with("/account")
}

/// What only adds or decides, and does so once, is a POST; these replace or end something.
const REPLACING: [&str; 4] = ["apply_files", "create_cutoff", "create_test_call", "reject_pin"];

/// A POST because of its body; changes nothing.
const READING: [&str; 2] = ["diff_files", "simulate_policies"];

/// Deletes what its text does not name, if it is told to.
const PRUNING: &str = "apply_files";

/// Where these arguments stand in a request.
const HEADERS: [(&str, &str, &str); 2] = [
    ("if_match", "If-Match", "The `etag` of what you have read: done only while that is current."),
    ("idempotency_key", "Idempotency-Key", "A text of yours; the same again does nothing again."),
];

impl Tools {
    /// From the description of the API.
    pub(super) fn of(document: &Value) -> Self {
        let none = Map::new();
        let named = document.pointer("/components/schemas").and_then(Value::as_object);
        let schemas = Schemas::of(named.unwrap_or(&none));
        let paths = document.get("paths").and_then(Value::as_object).into_iter().flatten();
        let operations = paths.flat_map(|(path, item)| {
            let methods = item.as_object().into_iter().flatten();
            methods.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
        });
        let tools = operations.filter_map(|it| Tool::of(&schemas, it));
        let mut tools: Vec<Tool> = tools.collect();
        tools.sort_by(|a, b| (&a.toolset, &a.name).cmp(&(&b.toolset, &b.name)));
        Self(tools)
    }

    /// The tool of that name, if it is among those that were chosen.
    pub(super) fn find(&self, name: &str, choice: &Choice) -> Option<&Tool> {
        self.0.iter().find(|it| it.name == name && choice.holds(it))
    }

    /// Those that were chosen and that the caller may use somewhere, as the items of a list.
    pub(super) fn listed(&self, choice: &Choice, rights: &Rights, revision: Revision) -> String {
        let tools = self.0.iter().filter(|it| choice.holds(it) && it.is_open(rights));
        tools.map(|it| it.shown(revision)).collect::<Vec<_>>().join(",")
    }

    fn has_toolset(&self, name: &str) -> bool {
        self.0.iter().any(|it| it.toolset == name)
    }

    #[cfg(test)]
    pub(super) fn all(&self) -> &[Tool] {
        &self.0
    }
}

impl Tool {
    fn of(schemas: &Schemas<'_>, (path, method, operation): (&str, &str, &Value)) -> Option<Self> {
        let text = |key: &str| operation.get(key).and_then(Value::as_str);
        let name = text("operationId").filter(|it| LEFT_OUT.iter().all(|(left, _)| left != it))?;
        if is_peoples_own(path) {
            return None;
        }
        let needs = Needs::parse(text("x-capability")?)?;
        let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).ok()?;
        let is_final = method == Method::DELETE || name == PRUNING;
        let parameters = parameters(operation, (path, &method));
        let body = operation.get("requestBody");
        let toolset = operation.pointer("/tags/0").and_then(Value::as_str).unwrap_or_default();
        let input = input(schemas, operation, &parameters, is_final);
        let shown = json!({
            "description": description(schemas, operation, is_final),
            "inputSchema": input,
            "annotations": annotations(name, &method),
        });
        let shown = shown.to_string();
        Some(Self {
            name: name.to_owned(),
            method,
            template: path.into(),
            parameters,
            body: body.map(|it| it.get("required") == Some(&Value::Bool(true))),
            is_final,
            needs,
            toolset: toolset.to_owned(),
            shown: shown.strip_prefix('{').unwrap_or(&shown).to_owned(),
        })
    }

    /// Whether there may be something that the caller may use it on.
    pub(super) fn is_open(&self, rights: &Rights) -> bool {
        self.needs.can_be_met(rights, &self.template)
    }

    /// Whether it leaves everything as it is.
    pub(super) fn reads(&self) -> bool {
        self.method == Method::GET || READING.contains(&self.name.as_str())
    }

    fn shown(&self, revision: Revision) -> String {
        let name = quote(&self.name);
        if revision < Revision::V2025_06_18 {
            return format!(r#"{{"name":{name},{}"#, self.shown);
        }
        let mut title = self.name.replace('_', " ");
        if let Some(first) = title.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        format!(r#"{{"name":{name},"title":{},{}"#, quote(&title), self.shown)
    }
}

impl Choice {
    /// From the query of the URL.
    ///
    /// # Errors
    /// Says what it does not know, in a sentence.
    pub(super) fn of(query: Option<&str>, tools: &Tools) -> Result<Self, String> {
        let mut choice = Self::default();
        let pairs = query.into_iter().flat_map(|it| it.split('&')).filter(|it| !it.is_empty());
        for pair in pairs {
            match pair.split_once('=').unwrap_or((pair, "")) {
                ("toolsets", names) => {
                    // A comma may be written out by whoever builds URLs.
                    let names = names.replace("%2C", ",").replace("%2c", ",");
                    let names: BTreeSet<String> = names.split(',').map(str::to_owned).collect();
                    if let Some(unknown) = names.iter().find(|it| !tools.has_toolset(it)) {
                        return Err(format!("there is no toolset `{unknown}`"));
                    }
                    choice.toolsets = Some(names);
                }
                ("read_only", "true") => choice.reads_only = true,
                ("read_only", "false") => choice.reads_only = false,
                _ => return Err("the URL takes `toolsets=…,…` and `read_only=true`".into()),
            }
        }
        Ok(choice)
    }

    fn holds(&self, tool: &Tool) -> bool {
        let is_chosen = self.toolsets.as_ref().is_none_or(|it| it.contains(&tool.toolset));
        is_chosen && (!self.reads_only || tool.reads())
    }
}

/// Those of the address in the order of the address, then the query's, then the headers'.
fn parameters(operation: &Value, (path, method): (&str, &Method)) -> Vec<Parameter> {
    let mut all: Vec<Parameter> = path
        .split('/')
        .filter_map(|it| it.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| Parameter {
            argument: name.to_owned(),
            name: name.to_owned(),
            place: Place::Path,
            // Who does not say which means their own, but not where it is what the act is about.
            is_required: name != super::WORKSPACE || path.ends_with("/{workspace}"),
        })
        .collect();
    for declared in declared(operation).filter(|it| it.get("in") == Some(&"query".into())) {
        let name = declared.get("name").and_then(Value::as_str).unwrap_or_default();
        let is_taken = all.iter().any(|it| it.argument == name);
        all.push(Parameter {
            argument: if is_taken { format!("page_{name}") } else { name.to_owned() },
            name: name.to_owned(),
            place: Place::Query,
            is_required: declared.get("required") == Some(&Value::Bool(true)),
        });
    }
    let takes = |header: &str| match header {
        "If-Match" => [Method::PUT, Method::PATCH, Method::DELETE].contains(method),
        _ => *method == Method::POST,
    };
    for (argument, name, _) in HEADERS.iter().filter(|it| takes(it.1)) {
        all.push(Parameter {
            argument: (*argument).to_owned(),
            name: (*name).to_owned(),
            place: Place::Header,
            is_required: false,
        });
    }
    all
}

fn declared(operation: &Value) -> impl Iterator<Item = &Value> {
    operation.get("parameters").and_then(Value::as_array).into_iter().flatten()
}

fn input(
    schemas: &Schemas<'_>,
    operation: &Value,
    parameters: &[Parameter],
    is_final: bool,
) -> Value {
    let mut definitions = Definitions::default();
    let mut properties = Map::new();
    let mut required = Vec::new();
    for parameter in parameters {
        let schema = match parameter.place {
            Place::Header => {
                let text = HEADERS.iter().find(|it| it.0 == parameter.argument).map(|it| it.2);
                json!({"type": "string", "description": text})
            }
            place => parameter_schema(schemas, operation, (parameter, place), &mut definitions),
        };
        properties.insert(parameter.argument.clone(), schema);
        if parameter.is_required {
            required.push(parameter.argument.clone());
        }
    }
    let body = operation.pointer("/requestBody/content/application~1json/schema");
    if let Some(body) = body {
        properties.insert("body".into(), schemas.resolved(body, &mut definitions));
        if operation.pointer("/requestBody/required") == Some(&Value::Bool(true)) {
            required.push("body".into());
        }
    }
    if is_final {
        let text = "Set once whoever you work for has agreed.";
        properties.insert("confirm".into(), json!({"type": "boolean", "description": text}));
    }
    let mut schema = Map::new();
    schema.insert("type".into(), "object".into());
    schema.insert("properties".into(), Value::Object(properties));
    if !required.is_empty() {
        schema.insert("required".into(), required.into());
    }
    schema.insert("additionalProperties".into(), false.into());
    definitions.put_into(&mut schema);
    Value::Object(schema)
}

fn parameter_schema(
    schemas: &Schemas<'_>,
    operation: &Value,
    (parameter, place): (&Parameter, Place),
    definitions: &mut Definitions,
) -> Value {
    let is_meant = |it: &&Value| {
        let (name, place_of) = (it.get("name"), it.get("in"));
        let stands = if place == Place::Path { "path" } else { "query" };
        name == Some(&parameter.name.as_str().into()) && place_of == Some(&stands.into())
    };
    let found = declared(operation).find(is_meant);
    let schema = found.and_then(|it| it.get("schema"));
    // Names and ids need no pattern: whatever is none is told to be missing.
    let is_plain = |it: &&Value| it.get("pattern").is_some();
    let mut schema = match schema.filter(|it| !is_plain(it)) {
        Some(schema) => schemas.resolved(schema, definitions),
        None => json!({"type": "string"}),
    };
    let text = found.and_then(|it| it.get("description"));
    if let (Some(schema), Some(text)) = (schema.as_object_mut(), text) {
        schema.insert("description".into(), one_line(text));
    }
    schema
}

/// What the operation says of itself, and what a model must know besides.
fn description(schemas: &Schemas<'_>, operation: &Value, is_final: bool) -> String {
    let said = ["summary", "description"].into_iter().filter_map(|it| operation.get(it));
    let said = said.map(one_line).filter_map(|it| Some(it.as_str()?.to_owned()));
    let mut texts: Vec<String> = said.collect();
    let answers = operation.get("responses").and_then(Value::as_object).into_iter().flatten();
    let mut schemas_of = answers
        .filter(|(status, _)| status.starts_with('2'))
        .filter_map(|it| it.1.pointer("/content/application~1json/schema"));
    if schemas_of.any(|it| schemas.has_member(it, "secret")) {
        texts.push("The secret becomes part of this conversation.".into());
    }
    let body = operation.pointer("/requestBody/content/application~1json/schema");
    let holds_secrets =
        |it: &Value| ["headers", "secrets"].iter().any(|member| schemas.has_member(it, member));
    if body.is_some_and(holds_secrets) {
        texts.push("Whatever secret you give has been part of this conversation.".into());
    }
    if is_final {
        texts.push("Does nothing without `confirm`.".into());
    }
    texts.join(" ")
}

/// Hints for whoever asks people before a tool is used.
fn annotations(name: &str, method: &Method) -> Value {
    if *method == Method::GET || READING.contains(&name) {
        return json!({"readOnlyHint": true, "openWorldHint": false});
    }
    let is_additive = match *method {
        Method::POST => !REPLACING.contains(&name),
        Method::PUT => true,
        _ => false,
    };
    json!({
        "readOnlyHint": false,
        "destructiveHint": !is_additive,
        "idempotentHint": *method != Method::POST,
        "openWorldHint": false,
    })
}
