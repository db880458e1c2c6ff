//! Forms for clients of revision 2025-06-18, whose choices are a plain `enum` of strings.

use bytes::Bytes;

use crate::json::{self, Kind, Raw};
use crate::revision::Revision;
use crate::splice::Splice;

/// Makes the params of a form elicitation what a client of `revision` can show. A question with
/// several answers becomes one with a single answer; [`lift_elicitation_answer`] turns it back.
pub fn downgrade_elicitation(splice: &mut Splice, params: Raw<'_>, revision: Revision) {
    if revision >= Revision::V2025_11_25 {
        return;
    }
    splice.remove_member(params, "mode");
    for (_, property) in properties(params) {
        if let Some(choice) = Choice::of(property).filter(|choice| choice.is_titled_or_many()) {
            splice.replace_value(property, choice.plain(property));
        }
    }
}

/// Makes the answer to a downgraded form one to the form as it was asked: a single string becomes a
/// list where a list was wanted. `asked` are the params before [`downgrade_elicitation`].
pub fn lift_elicitation_answer(splice: &mut Splice, asked: Raw<'_>, result: Raw<'_>) {
    let Some(content) = result.get("content") else { return };
    for (name, property) in properties(asked) {
        let is_many = Choice::of(property).is_some_and(|choice| choice.is_many);
        let answer = content.get(&name).filter(|answer| answer.kind() == Kind::String);
        if let Some(answer) = answer.filter(|_| is_many) {
            splice.replace_value(answer, [&b"["[..], answer.bytes(), &b"]"[..]].concat());
        }
    }
}

fn properties<'a>(
    params: Raw<'a>,
) -> impl Iterator<Item = (std::borrow::Cow<'a, str>, Raw<'a>)> + use<'a> {
    params.at(&["requestedSchema", "properties"]).into_iter().flat_map(Raw::members)
}

/// A property that is answered by choosing.
struct Choice<'a> {
    values: Vec<Raw<'a>>,
    /// What is shown for each value; empty if the values themselves are.
    titles: Vec<Raw<'a>>,
    is_many: bool,
}

impl<'a> Choice<'a> {
    fn of(property: Raw<'a>) -> Option<Self> {
        let items = property.get("items").filter(|items| items.is_object());
        let (holder, is_many) = items.map_or((property, false), |items| (items, true));
        if let Some(values) = holder.get("enum") {
            return Some(Self { values: values.items().collect(), titles: Vec::new(), is_many });
        }
        let options = holder.get("oneOf").or_else(|| holder.get("anyOf"))?;
        let values: Vec<_> = options.items().filter_map(|option| option.get("const")).collect();
        let title = |option: Raw<'a>| option.get("title").or_else(|| option.get("const"));
        let titles: Vec<_> = options.items().filter_map(title).collect();
        (!values.is_empty() && values.len() == titles.len()).then_some(Self {
            values,
            titles,
            is_many,
        })
    }

    fn is_titled_or_many(&self) -> bool {
        self.is_many || !self.titles.is_empty()
    }

    /// The property as revision 2025-06-18 writes it.
    fn plain(&self, property: Raw<'_>) -> Bytes {
        let mut out = b"{\"type\":\"string\"".to_vec();
        let keep = if self.is_many { &["title", "description"][..] } else { KEPT };
        for (name, value) in property.members().filter(|(name, _)| keep.contains(&&**name)) {
            out.push(b',');
            json::quote_into(&mut out, &name);
            out.push(b':');
            out.extend_from_slice(value.bytes());
        }
        list_into(&mut out, "enum", &self.values);
        if !self.titles.is_empty() {
            list_into(&mut out, "enumNames", &self.titles);
        }
        out.push(b'}');
        out.into()
    }
}

/// What stays of a property with a single answer; the default of several would be no answer.
const KEPT: &[&str] = &["title", "description", "default"];

fn list_into(out: &mut Vec<u8>, name: &str, items: &[Raw<'_>]) {
    out.push(b',');
    json::quote_into(out, name);
    out.extend_from_slice(b":[");
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(item.bytes());
    }
    out.push(b']');
}
