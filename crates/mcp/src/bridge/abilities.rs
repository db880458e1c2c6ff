//! What a legacy client has declared that it can be asked, in the words of the modern era.

use bytes::Bytes;

use super::Kind;
use crate::extensions::TASKS;
use crate::json::{Limits, Raw};
use crate::meta;
use crate::revision::Revision;
use crate::splice::Splice;

/// What a client can be asked. By default nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    pub roots: bool,
    pub sampling: bool,
    /// Whether a sampling may offer tools to the model.
    pub sampling_tools: bool,
    /// Whether the user can be asked to fill in a form.
    pub form: bool,
    /// Whether the user can be asked to open a page.
    pub url: bool,
}

impl Abilities {
    /// What `capabilities` of `initialize` mean in `revision`.
    pub fn of(capabilities: Raw<'_>, revision: Revision) -> Self {
        let sampling = object(capabilities, "sampling");
        // The revisions before know no elicitation, hence none of its questions.
        let elicitation =
            object(capabilities, "elicitation").filter(|_| Revision::V2025_06_18 <= revision);
        let newest = Revision::V2025_11_25 <= revision;
        let url = elicitation.is_some_and(|it| newest && object(it, "url").is_some());
        // Without a word about modes it is forms.
        let form = elicitation.is_some_and(|it| !url || object(it, "form").is_some());
        Self {
            roots: object(capabilities, "roots").is_some(),
            sampling: sampling.is_some(),
            sampling_tools: sampling.is_some_and(|it| newest && object(it, "tools").is_some()),
            form,
            url,
        }
    }

    /// The capability that is missing for a question, if one is.
    pub fn lacks(self, kind: Kind) -> Option<&'static str> {
        let (has, name) = match kind {
            Kind::Roots => (self.roots, "roots"),
            Kind::Sampling { .. } if !self.sampling => (false, "sampling"),
            Kind::Sampling { with_tools } => (!with_tools || self.sampling_tools, "sampling.tools"),
            Kind::Form => (self.form, "elicitation.form"),
            Kind::Url => (self.url, "elicitation.url"),
        };
        (!has).then_some(name)
    }
}

/// The capabilities that a modern request declares for a client of the legacy `revision`: what it
/// has declared and what can be carried to it, in the modern form.
pub fn to_modern_capabilities(capabilities: Raw<'_>, revision: Revision) -> Bytes {
    let empty = || Bytes::from_static(b"{}");
    let abilities = Abilities::of(capabilities, revision);
    let mut declared = Vec::new();
    let kept = object(capabilities, "experimental");
    declared.extend(kept.map(|it| ("experimental", Bytes::copy_from_slice(it.bytes()))));
    if let Some(extensions) = object(capabilities, "extensions") {
        declared.push(("extensions", without_tasks(extensions)));
    }
    if abilities.roots {
        declared.push(("roots", empty()));
    }
    if let Some(sampling) = object(capabilities, "sampling") {
        let parts = ["context", "tools"].into_iter();
        let parts = parts.filter(|_| Revision::V2025_11_25 <= revision);
        declared.push(("sampling", members(sampling, parts)));
    }
    let modes = [("form", abilities.form), ("url", abilities.url)];
    let modes: Vec<_> = modes.into_iter().filter(|(_, has)| *has).collect();
    if !modes.is_empty() {
        let modes: Vec<_> = modes.into_iter().map(|(mode, _)| (mode, empty())).collect();
        declared.push(("elicitation", meta::object(&modes)));
    }
    meta::object(&declared)
}

/// The same `capabilities`, with the extension for tasks.
pub fn with_tasks(capabilities: &Bytes) -> Bytes {
    let empty = Bytes::from_static(b"{}");
    let Ok(declared) = Raw::parse(capabilities, Limits::default()) else {
        return with_tasks(&empty);
    };
    let mut splice = Splice::new(capabilities.clone());
    match object(declared, "extensions") {
        Some(extensions) => splice.set_member(extensions, TASKS, empty),
        None => splice.set_member(declared, "extensions", meta::object(&[(TASKS, empty)])),
    }
    splice.finish().into_bytes()
}

/// The names of the capabilities that an error of a modern server asks for: `sampling`, or
/// `elicitation.url`. As many as a sentence can hold.
pub fn missing_capabilities(error: Raw<'_>) -> Vec<String> {
    /// Longer ones are no names.
    const LONGEST: usize = 64;
    const MOST: usize = 8;

    let required = error.at(&["data", "requiredCapabilities"]);
    let mut names = Vec::new();
    for (name, inside) in required.into_iter().flat_map(Raw::members) {
        let parts: Vec<String> =
            inside.members().map(|(part, _)| format!("{name}.{part}")).collect();
        names.extend(if parts.is_empty() { vec![name.into_owned()] } else { parts });
        if MOST <= names.len() {
            break;
        }
    }
    names.truncate(MOST);
    names.retain(|it| it.len() <= LONGEST && !it.chars().any(char::is_control));
    names
}

fn object<'a>(holder: Raw<'a>, key: &str) -> Option<Raw<'a>> {
    holder.get(key).filter(|it| it.is_object())
}

fn members(holder: Raw<'_>, keys: impl Iterator<Item = &'static str>) -> Bytes {
    let found = |key| object(holder, key).map(|it| (key, Bytes::copy_from_slice(it.bytes())));
    meta::object(&keys.filter_map(found).collect::<Vec<_>>())
}

/// Nobody here could follow a task on behalf of a legacy client.
fn without_tasks(extensions: Raw<'_>) -> Bytes {
    let kept: Vec<_> = extensions
        .members()
        .filter(|(id, _)| id != TASKS)
        .map(|(id, settings)| (id, Bytes::copy_from_slice(settings.bytes())))
        .collect();
    let kept: Vec<_> = kept.iter().map(|(id, settings)| (&**id, settings.clone())).collect();
    meta::object(&kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_declared_beside_what_is_declared_already() {
        for (declared, expected) in [
            ("{}", r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#),
            ("[", r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#),
            (
                r#"{"roots":{},"extensions":{"a/b":{"n":1.0}}}"#,
                r#"{"roots":{},"extensions":{"io.modelcontextprotocol/tasks":{},"a/b":{"n":1.0}}}"#,
            ),
            (r#"{"extensions":null}"#, r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#),
        ] {
            assert_eq!(
                with_tasks(&Bytes::from_static(declared.as_bytes())),
                expected,
                "{declared}"
            );
        }
    }

    #[test]
    fn what_a_client_has_declared_is_declared_for_it_as_its_revision_means_it() {
        use Revision::{V2024_11_05, V2025_03_26, V2025_06_18, V2025_11_25};
        let all = r#"{"roots":{"listChanged":true},"sampling":{"tools":{},"context":{"a":1}},"elicitation":{"url":{},"form":{}},"tasks":{"list":{}},"experimental":{"x":{"n":1.0}},"unknown":{}}"#;
        let older = r#"{"experimental":{"x":{"n":1.0}},"roots":{},"sampling":{}}"#;
        let newest = r#"{"experimental":{"x":{"n":1.0}},"roots":{},"sampling":{"context":{"a":1},"tools":{}},"elicitation":{"form":{},"url":{}}}"#;
        let middle = r#"{"experimental":{"x":{"n":1.0}},"roots":{},"sampling":{},"elicitation":{"form":{}}}"#;
        let form = r#"{"elicitation":{"form":{}}}"#;
        let extensions = r#"{"extensions":{"io.modelcontextprotocol/tasks":{},"io.modelcontextprotocol/ui":{"mimeTypes":["a"]}}}"#;
        let ui = r#"{"extensions":{"io.modelcontextprotocol/ui":{"mimeTypes":["a"]}}}"#;
        let cases = [
            (V2025_11_25, all, newest),
            (V2025_06_18, all, middle),
            (V2025_03_26, all, older),
            (V2024_11_05, all, older),
            (V2025_11_25, r#"{"elicitation":{}}"#, form),
            (V2025_11_25, r#"{"elicitation":{"form":{}}}"#, form),
            (V2025_11_25, r#"{"elicitation":{"url":{}}}"#, r#"{"elicitation":{"url":{}}}"#),
            (V2025_11_25, r#"{"elicitation":{"url":true}}"#, form),
            (V2025_06_18, r#"{"elicitation":{"url":{}}}"#, form),
            (V2025_03_26, r#"{"elicitation":{}}"#, "{}"),
            (V2025_11_25, r#"{"elicitation":true,"roots":null,"sampling":[]}"#, "{}"),
            (V2025_11_25, extensions, ui),
            (V2025_11_25, "{}", "{}"),
            (V2025_11_25, "[]", "{}"),
        ];
        for (revision, declared, expected) in cases {
            let found = to_modern_capabilities(parse(declared), revision);
            assert_eq!(found, expected.as_bytes(), "{revision} {declared}");
        }
    }

    #[test]
    fn missing_capabilities_are_named() {
        let long = format!(r#"{{"{}":{{}},"roots":{{}}}}"#, "x".repeat(100));
        let cases = [
            (r#"{"sampling":{}}"#, "sampling"),
            (
                r#"{"elicitation":{"url":{},"form":{}},"roots":{}}"#,
                "elicitation.url elicitation.form roots",
            ),
            (r#"{"a\nb":{},"roots":{}}"#, "roots"),
            (&long, "roots"),
            ("[]", ""),
        ];
        for (required, expected) in cases {
            let error =
                format!(r#"{{"code":-32021,"data":{{"requiredCapabilities":{required}}}}}"#);
            assert_eq!(missing_capabilities(parse(&error)).join(" "), expected, "{required}");
        }
        assert!(missing_capabilities(parse("{}")).is_empty());
        let many: Vec<String> = (0..50).map(|it| format!(r#""c{it}":{{}}"#)).collect();
        let many = format!(r#"{{"data":{{"requiredCapabilities":{{{}}}}}}}"#, many.join(","));
        assert_eq!(missing_capabilities(parse(&many)).len(), 8);
    }

    fn parse(text: &str) -> Raw<'_> {
        Raw::parse(text.as_bytes(), Limits::default()).unwrap()
    }
}
