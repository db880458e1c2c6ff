//! What a client can be asked, as far as a server of the other era can be told.
//!
//! A legacy server learns it once, when a session is opened, so sessions are kept apart by it; a
//! modern client says it with each request.

use bytes::Bytes;

use crate::convert;
use crate::errors;
use crate::extensions::APPS;
use crate::json::{Limits, Raw};
use crate::meta;
use crate::splice::Splice;

/// The kinds of questions that a client has declared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Askable {
    /// To fill in a form.
    pub form: bool,
    /// To open a URL.
    pub url: bool,
    /// To sample from a model.
    pub sampling: bool,
    /// To sample with tools.
    pub tools: bool,
    /// To sample with context of servers.
    pub context: bool,
    /// For its folders. Not every server is to be told of that: many ask for them right after the
    /// handshake, where no call can carry the question.
    pub roots: bool,
    /// To show pages of servers. Nothing is asked by that, but some servers list other tools then.
    pub apps: bool,
}

/// A question of a legacy server as a modern client is asked it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// One of the methods of the protocol.
    pub method: &'static str,
    /// The params, a JSON object.
    pub params: Bytes,
}

/// Why a client cannot be asked something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CannotAsk {
    /// The JSON-RPC code for the server.
    pub code: i32,
    /// In words.
    pub why: &'static str,
}

/// What a page is.
const PAGE: &str = "text/html;profile=mcp-app";

fn shows_pages(settings: Raw<'_>) -> bool {
    let mut types = settings.get("mimeTypes").into_iter().flat_map(Raw::items);
    types.any(|it| it.str().is_some_and(|it| it == PAGE))
}

const ELICITATION: &str = "elicitation/create";
const SAMPLING: &str = "sampling/createMessage";
const ROOTS: &str = "roots/list";

impl Askable {
    /// Of a client that can be asked nothing.
    pub const NOTHING: Self = Self {
        form: false,
        url: false,
        sampling: false,
        tools: false,
        context: false,
        roots: false,
        apps: false,
    };

    /// What a `capabilities` object declares.
    pub fn of(capabilities: Raw<'_>) -> Self {
        let elicitation = capabilities.get("elicitation").filter(|it| it.is_object());
        let sampling = capabilities.get("sampling").filter(|it| it.is_object());
        let has = |holder: Option<Raw<'_>>, key| {
            holder.and_then(|it| it.get(key)).is_some_and(Raw::is_object)
        };
        let url = has(elicitation, "url");
        // Without a word on how, it is by form, as it was when there was no other way.
        let form = has(elicitation, "form") || elicitation.is_some() && !url;
        Self {
            form,
            url,
            sampling: sampling.is_some(),
            tools: has(sampling, "tools"),
            context: has(sampling, "context"),
            roots: has(Some(capabilities), "roots"),
            apps: capabilities.at(&["extensions", APPS]).is_some_and(shows_pages),
        }
    }

    /// Whether there is nothing to ask for.
    pub fn is_nothing(self) -> bool {
        Self { apps: false, ..self } == Self::NOTHING
    }

    /// The `capabilities` object that tells a legacy server.
    pub fn capabilities(self) -> Bytes {
        let mut kinds: Vec<String> = Vec::new();
        match (self.form, self.url) {
            (false, false) => {}
            // What servers of before there was another way have always been told.
            (true, false) => kinds.push(r#""elicitation":{}"#.to_owned()),
            (false, true) => kinds.push(r#""elicitation":{"url":{}}"#.to_owned()),
            (true, true) => kinds.push(r#""elicitation":{"form":{},"url":{}}"#.to_owned()),
        }
        if self.sampling {
            let parts: Vec<&str> =
                [(self.tools, r#""tools":{}"#), (self.context, r#""context":{}"#)]
                    .into_iter()
                    .filter_map(|(has, part)| has.then_some(part))
                    .collect();
            kinds.push(format!(r#""sampling":{{{}}}"#, parts.join(",")));
        }
        if self.apps {
            kinds.push(format!(r#""extensions":{{"{APPS}":{{"mimeTypes":["{PAGE}"]}}}}"#));
        }
        if self.roots {
            kinds.push(r#""roots":{}"#.to_owned());
        }
        format!("{{{}}}", kinds.join(",")).into()
    }

    /// The question that a legacy server's request puts to a modern client, if it may be put.
    ///
    /// # Errors
    /// For what the client has not declared, and for what is no question at all.
    pub fn question(self, method: &str, params: Option<Raw<'_>>) -> Result<Asked, CannotAsk> {
        let method = match method {
            ELICITATION => ELICITATION,
            SAMPLING => SAMPLING,
            ROOTS if self.roots => {
                let params = params.map_or(Ok(Bytes::from_static(b"{}")), modern_params)?;
                return Ok(Asked { method: ROOTS, params });
            }
            _ => return Err(refused(errors::METHOD_NOT_FOUND, "this client cannot be asked that")),
        };
        let params = params.ok_or(refused(errors::INVALID_PARAMS, "the params are missing"))?;
        let has = |key| params.get(key).is_some_and(|it| !it.is_null());
        let is_declared = match method {
            ELICITATION => match params.get("mode").and_then(Raw::str).as_deref() {
                Some("url") => self.url,
                Some("form") => self.form,
                Some(_) => false,
                None => self.form && !has("mode"),
            },
            _ => self.sampling && (self.tools || !has("tools") && !has("toolChoice")),
        };
        if !is_declared {
            return Err(refused(errors::INVALID_PARAMS, "this client cannot be asked that way"));
        }
        Ok(Asked { method, params: modern_params(params)? })
    }

    /// The questions that a legacy server's `-32042` error holds, for a client that opens URLs.
    pub fn urls(self, error: Raw<'_>) -> Vec<Asked> {
        let asked = error.at(&["data", "elicitations"]).filter(|_| self.url);
        let is_url = |it: &Raw<'_>| it.get("mode").and_then(Raw::str).as_deref() == Some("url");
        asked
            .into_iter()
            .flat_map(Raw::items)
            .filter(is_url)
            .filter_map(|it| self.question(ELICITATION, Some(it)).ok())
            .collect()
    }
}

/// The params of a question without what only legacy clients can use: ids for notifications and
/// tasks that the modern era does not have.
fn modern_params(params: Raw<'_>) -> Result<Bytes, CannotAsk> {
    let mut splice = Splice::new(Bytes::copy_from_slice(params.bytes()));
    let body = splice.body().clone();
    let wrong = refused(errors::INVALID_PARAMS, "the params cannot be read");
    let params = Raw::parse(&body, Limits::default()).map_err(|_| wrong)?;
    for key in ["elicitationId", "task"] {
        splice.remove_member(params, key);
    }
    if let Some(entries) = params.get(meta::META).filter(|it| it.is_object()) {
        for key in [meta::PROGRESS_TOKEN, meta::RELATED_TASK] {
            splice.remove_member(entries, key);
        }
    }
    Ok(splice.finish().into_bytes())
}

/// A modern client's answer as a legacy server expects it: an object. Nothing for what is none.
pub fn legacy_answer(answer: Raw<'_>) -> Option<Bytes> {
    let mut splice = Splice::new(Bytes::copy_from_slice(answer.bytes()));
    let body = splice.body().clone();
    let answer = Raw::parse(&body, Limits::default()).ok().filter(|it| it.is_object())?;
    splice.remove_member(answer, "resultType");
    convert::strip_modern_meta(&mut splice, answer);
    Some(splice.finish().into_bytes())
}

const fn refused(code: i32, why: &'static str) -> CannotAsk {
    CannotAsk { code, why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_declares_is_what_a_legacy_server_is_told() {
        let rows = [
            ("{}", "{}"),
            (
                r#"{"roots":{"listChanged":true},"tasks":{},"experimental":{"x":{}}}"#,
                r#"{"roots":{}}"#,
            ),
            (r#"{"roots":true}"#, "{}"),
            (r#"{"extensions":{"io.modelcontextprotocol/ui":{"mimeTypes":["text/plain"]}}}"#, "{}"),
            (
                r#"{"extensions":{"a/b":{},"io.modelcontextprotocol/ui":{"mimeTypes":["x","text/html;profile=mcp-app"]}}}"#,
                r#"{"extensions":{"io.modelcontextprotocol/ui":{"mimeTypes":["text/html;profile=mcp-app"]}}}"#,
            ),
            (r#"{"elicitation":{}}"#, r#"{"elicitation":{}}"#),
            (r#"{"elicitation":{"form":{}}}"#, r#"{"elicitation":{}}"#),
            (r#"{"elicitation":{"url":{}}}"#, r#"{"elicitation":{"url":{}}}"#),
            (r#"{"elicitation":{"url":{},"form":{}}}"#, r#"{"elicitation":{"form":{},"url":{}}}"#),
            (r#"{"elicitation":true,"sampling":null}"#, "{}"),
            (r#"{"sampling":{"x":1}}"#, r#"{"sampling":{}}"#),
            (
                r#"{"sampling":{"context":{},"tools":{}},"elicitation":{"form":{}}}"#,
                r#"{"elicitation":{},"sampling":{"tools":{},"context":{}}}"#,
            ),
        ];
        for (declared, told) in rows {
            let askable = Askable::of(raw(declared));
            assert_eq!(askable.capabilities(), told, "{declared}");
            assert_eq!(Askable::of(raw(told)), askable, "{declared}");
            let asks_nothing = told == "{}" || told.contains("extensions");
            assert_eq!(askable.is_nothing(), asks_nothing, "{declared}");
        }
    }

    #[test]
    fn a_client_is_asked_nothing_that_it_has_not_declared() {
        let form = r#"{"message":"?","requestedSchema":{"type":"object","properties":{}}}"#;
        let by_mode = |mode| format!(r#"{{"mode":"{mode}","message":"?","url":"https://a/"}}"#);
        let rows = [
            (r#"{"elicitation":{}}"#, ELICITATION, form.to_owned(), true),
            (r#"{"elicitation":{}}"#, ELICITATION, by_mode("form"), true),
            (r#"{"elicitation":{}}"#, ELICITATION, by_mode("url"), false),
            (r#"{"elicitation":{"url":{}}}"#, ELICITATION, by_mode("url"), true),
            (r#"{"elicitation":{"url":{}}}"#, ELICITATION, form.to_owned(), false),
            (r#"{"elicitation":{"url":{}}}"#, ELICITATION, r#"{"mode":1}"#.to_owned(), false),
            (r#"{"elicitation":{}}"#, ELICITATION, by_mode("Form"), false),
            (r#"{"elicitation":{}}"#, SAMPLING, r#"{"messages":[]}"#.to_owned(), false),
            (r#"{"sampling":{}}"#, SAMPLING, r#"{"messages":[]}"#.to_owned(), true),
            (r#"{"sampling":{}}"#, SAMPLING, r#"{"tools":[]}"#.to_owned(), false),
            (r#"{"sampling":{}}"#, SAMPLING, r#"{"toolChoice":{}}"#.to_owned(), false),
            (r#"{"sampling":{"tools":{}}}"#, SAMPLING, r#"{"tools":[]}"#.to_owned(), true),
            (r#"{"roots":{}}"#, ROOTS, "{}".to_owned(), true),
            (r#"{"elicitation":{}}"#, ROOTS, "{}".to_owned(), false),
            (r#"{"elicitation":{},"sampling":{}}"#, "tools/call", "{}".to_owned(), false),
        ];
        for (declared, method, params, may) in rows {
            let asked = Askable::of(raw(declared)).question(method, Some(raw(&params)));
            assert_eq!(asked.is_ok(), may, "{declared} {method} {params}: {asked:?}");
        }
        assert!(Askable::of(raw(r#"{"sampling":{}}"#)).question(SAMPLING, None).is_err());
        let folders = Askable::of(raw(r#"{"roots":{}}"#)).question(ROOTS, None).unwrap();
        assert_eq!((folders.method, folders.params), (ROOTS, Bytes::from_static(b"{}")));
    }

    #[test]
    fn what_only_legacy_clients_can_use_is_not_asked() {
        let askable = Askable::of(raw(r#"{"elicitation":{"url":{}}}"#));
        let params = r#"{"mode":"url","elicitationId":"e","url":"https:\/\/a\/","x":1.0,"task":{},"_meta":{"progressToken":1,"v":2}}"#;
        let asked = askable.question(ELICITATION, Some(raw(params))).unwrap();
        assert_eq!(asked.params, r#"{"mode":"url","url":"https:\/\/a\/","x":1.0,"_meta":{"v":2}}"#);
        let error = format!(r#"{{"code":-32042,"data":{{"elicitations":[{params},{{}},7]}}}}"#);
        assert_eq!(askable.urls(raw(&error)), [asked]);
        assert_eq!(Askable::of(raw(r#"{"elicitation":{}}"#)).urls(raw(&error)), []);
    }

    #[test]
    fn an_answer_is_an_object_without_what_only_modern_servers_know() {
        let answer = r#"{"resultType":"complete","action":"accept","content":{"n":1.0},"_meta":{"io.modelcontextprotocol/x":1,"v":2}}"#;
        let told = r#"{"action":"accept","content":{"n":1.0},"_meta":{"v":2}}"#;
        assert_eq!(legacy_answer(raw(answer)).unwrap(), told);
        for none in ["[]", "null", "\"accept\"", "1"] {
            assert_eq!(legacy_answer(raw(none)), None, "{none}");
        }
    }

    fn raw(text: &str) -> Raw<'_> {
        Raw::parse(text.as_bytes(), Limits::default()).unwrap()
    }
}
