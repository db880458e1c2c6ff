//! JSON Schemas of the admin API, as a tool shows them: self-contained, and no longer than a model
//! needs.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// The schemas that the document names.
pub(super) struct Schemas<'a> {
    named: &'a Map<String, Value>,
    /// Those that contain themselves, which cannot stand in place of their name.
    recursive: BTreeSet<&'a str>,
}

/// A schema, and the names that it refers to.
#[derive(Debug, Default)]
pub(super) struct Definitions(Map<String, Value>);

/// What says nothing to a model that the rest does not.
const NOISE: [&str; 3] = ["example", "format", "propertyNames"];

const REF: &str = "#/components/schemas/";

impl<'a> Schemas<'a> {
    pub(super) fn of(named: &'a Map<String, Value>) -> Self {
        let recursive = named.keys().map(String::as_str).filter(|it| reaches_itself(named, it));
        Self { named, recursive: recursive.collect() }
    }

    /// The schema with what it refers to in its place. What contains itself goes into
    /// `definitions`.
    pub(super) fn resolved(&self, schema: &Value, definitions: &mut Definitions) -> Value {
        match schema {
            Value::Object(members) => match referred(members) {
                Some(name) => self.of_name(name, members, definitions),
                None => self.of_members(members, definitions),
            },
            Value::Array(items) => {
                items.iter().map(|it| self.resolved(it, definitions)).collect::<Vec<_>>().into()
            }
            plain => plain.clone(),
        }
    }

    fn of_name(
        &self,
        name: &str,
        beside: &Map<String, Value>,
        definitions: &mut Definitions,
    ) -> Value {
        let Some(found) = self.named.get(name) else { return json!({}) };
        let mut schema = if name == "Ref" {
            // Whatever is no name of anything is told to be missing.
            json!({"type": "string"})
        } else if name == "Name" {
            // Its words say what its pattern says, and the API checks it.
            json!({"type": "string", "description": found.get("description").map(one_line)})
        } else if self.recursive.contains(name) {
            if !definitions.0.contains_key(name) {
                // There before its own schema is, so that it ends.
                definitions.0.insert(name.into(), Value::Null);
                let Value::Object(members) = found else { return json!({}) };
                let schema = self.of_members(members, definitions);
                definitions.0.insert(name.into(), schema);
            }
            json!({"$ref": format!("#/$defs/{name}")})
        } else {
            self.resolved(found, definitions)
        };
        if let (Some(schema), Some(text)) = (schema.as_object_mut(), beside.get("description")) {
            schema.insert("description".into(), one_line(text));
        }
        schema
    }

    fn of_members(&self, members: &Map<String, Value>, definitions: &mut Definitions) -> Value {
        let mut schema = Map::new();
        for (key, value) in members {
            let value = match key.as_str() {
                key if NOISE.contains(&key) => continue,
                "default" if is_nothing(value) => continue,
                "description" => one_line(value),
                // Names of members are no keywords.
                "properties" => {
                    let properties = value.as_object().into_iter().flatten();
                    let resolve = |(name, it): (&String, &Value)| {
                        (name.clone(), self.resolved(it, definitions))
                    };
                    Value::Object(properties.map(resolve).collect())
                }
                _ => self.resolved(value, definitions),
            };
            schema.insert(key.clone(), value);
        }
        Value::Object(schema)
    }

    /// Whether the schema, as the answer to a request, has a member of that name.
    pub(super) fn has_member(&self, schema: &Value, member: &str) -> bool {
        let named = schema.as_object().and_then(referred).and_then(|it| self.named.get(it));
        let properties = named.unwrap_or(schema).get("properties");
        properties.is_some_and(|it| it.get(member).is_some())
    }
}

impl Definitions {
    /// Puts them where the schemas look for them.
    pub(super) fn put_into(self, schema: &mut Map<String, Value>) {
        if !self.0.is_empty() {
            schema.insert("$defs".into(), Value::Object(self.0));
        }
    }
}

/// Whether a default is what anybody expects.
fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

/// Texts are wrapped where they are declared.
pub(super) fn one_line(text: &Value) -> Value {
    match text.as_str() {
        Some(text) => text.split_whitespace().collect::<Vec<_>>().join(" ").into(),
        None => text.clone(),
    }
}

fn referred(members: &Map<String, Value>) -> Option<&str> {
    members.get("$ref")?.as_str()?.strip_prefix(REF)
}

fn reaches_itself(named: &Map<String, Value>, name: &str) -> bool {
    let mut seen = BTreeSet::new();
    let mut next: Vec<&Value> = named.get(name).into_iter().collect();
    while let Some(value) = next.pop() {
        match value {
            Value::Object(members) => {
                if let Some(found) = referred(members) {
                    if found == name {
                        return true;
                    }
                    if seen.insert(found) {
                        next.extend(named.get(found));
                    }
                }
                next.extend(members.values());
            }
            Value::Array(items) => next.extend(items),
            _ => {}
        }
    }
    false
}
