//! The JSON Schema of the documents.

use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::document::{
    AppFile, GatewayFile, IdentityFile, LimitFile, PolicyFile, RoleFile, RoleGrantFile, ServerFile,
    TeamFile, UserFile, WorkspaceFile,
};

/// Describes one document (JSON Schema 2020-12).
pub fn schema() -> Value {
    let mut found = Vec::new();
    let kinds = [
        kind::<WorkspaceFile>("Workspace", &mut found),
        kind::<UserFile>("User", &mut found),
        kind::<TeamFile>("Team", &mut found),
        kind::<ServerFile>("Server", &mut found),
        kind::<IdentityFile>("Identity", &mut found),
        kind::<GatewayFile>("Gateway", &mut found),
        kind::<AppFile>("App", &mut found),
        kind::<LimitFile>("Limit", &mut found),
        kind::<PolicyFile>("Policy", &mut found),
        kind::<RoleFile>("Role", &mut found),
        kind::<RoleGrantFile>("RoleGrant", &mut found),
    ];
    let mut definitions = Map::new();
    for (name, schema) in found {
        definitions.insert(name, closed(json(&schema)));
    }
    definitions.sort_keys();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Ostiary configuration",
        "oneOf": kinds,
        "$defs": definitions,
    })
}

fn kind<T: ToSchema + PartialSchema>(
    name: &str,
    found: &mut Vec<(String, RefOr<Schema>)>,
) -> Value {
    T::schemas(found);
    let mut schema = closed(json(&T::schema()));
    if let Some(properties) = schema["properties"].as_object_mut() {
        let own = std::mem::take(properties);
        properties.insert("kind".into(), json!({ "const": name }));
        properties.extend(own);
        if name != "Workspace" {
            let text = "Absent: the Workspace document above, or the one meant by the command.";
            properties.insert("workspace".into(), json!({"type": "string", "description": text}));
        }
    }
    if let Some(required) = schema["required"].as_array_mut() {
        required.insert(0, "kind".into());
    }
    schema
}

fn json(schema: &RefOr<Schema>) -> Value {
    let text = serde_json::to_string(schema).unwrap_or_default();
    let text = text.replace("#/components/schemas/", "#/$defs/");
    serde_json::from_str(&text).unwrap_or_default()
}

/// Unknown members are refused, everywhere.
fn closed(mut schema: Value) -> Value {
    match &mut schema {
        Value::Object(members) => {
            let is_open =
                members.contains_key("properties") && !members.contains_key("additionalProperties");
            if is_open {
                members.insert("additionalProperties".into(), false.into());
            }
            for member in members.values_mut() {
                *member = closed(member.take());
            }
        }
        Value::Array(items) => {
            for item in items {
                *item = closed(item.take());
            }
        }
        _ => {}
    }
    schema
}
