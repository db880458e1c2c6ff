//! Conditions as text, in the API and in files.

use domain::{Condition, Hint, Pattern, TextTest};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an offer must be like.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ConditionText {
    /// All of them hold.
    #[schema(no_recursion)]
    All(Vec<ConditionText>),
    /// One of them holds.
    #[schema(no_recursion)]
    Any(Vec<ConditionText>),
    /// The server's own name; of a resource its URI, of a template its URI template.
    Name(TestText),
    Title(TestText),
    Description(TestText),
    /// What the annotation says; missing, it is taken for `false`.
    #[serde(rename = "readOnlyHint")]
    ReadOnlyHint(bool),
    /// Missing, it is taken for `true`.
    #[serde(rename = "destructiveHint")]
    DestructiveHint(bool),
    /// Missing, it is taken for `false`.
    #[serde(rename = "idempotentHint")]
    IdempotentHint(bool),
    /// Missing, it is taken for `true`.
    #[serde(rename = "openWorldHint")]
    OpenWorldHint(bool),
}

/// A test of a text; none holds for one that is missing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TestText {
    Is(String),
    /// `*` stands for any characters and `?` for one.
    Glob(String),
    Contains(String),
    /// A regular expression.
    Matches(String),
}

/// A whole condition, which is bounded and compiles.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(try_from = "ConditionText", into = "ConditionText")]
#[schema(value_type = ConditionText)]
pub(crate) struct Checked(Condition);

/// More is a list of names.
const MOST_TESTS: usize = 100;
const DEEPEST: usize = 8;

impl TryFrom<ConditionText> for Checked {
    type Error = String;

    fn try_from(text: ConditionText) -> Result<Self, String> {
        let mut room = MOST_TESTS;
        condition(text, DEEPEST, &mut room).map(Self)
    }
}

impl From<Checked> for ConditionText {
    fn from(Checked(condition): Checked) -> Self {
        text(condition)
    }
}

impl From<Checked> for Condition {
    fn from(Checked(condition): Checked) -> Self {
        condition
    }
}

impl From<Condition> for Checked {
    fn from(condition: Condition) -> Self {
        Self(condition)
    }
}

fn condition(text: ConditionText, depth: usize, room: &mut usize) -> Result<Condition, String> {
    let depth = depth.checked_sub(1).ok_or("the condition is nested too deeply")?;
    *room = room.checked_sub(1).ok_or_else(|| format!("use at most {MOST_TESTS} tests"))?;
    let mut each = |all: Vec<ConditionText>| -> Result<Vec<Condition>, String> {
        all.into_iter().map(|it| condition(it, depth, room)).collect()
    };
    Ok(match text {
        ConditionText::All(all) => Condition::All(each(all)?),
        ConditionText::Any(any) => Condition::Any(each(any)?),
        ConditionText::Name(it) => Condition::Name(test(it)?),
        ConditionText::Title(it) => Condition::Title(test(it)?),
        ConditionText::Description(it) => Condition::Description(test(it)?),
        ConditionText::ReadOnlyHint(it) => Condition::Hint(Hint::ReadOnly, it),
        ConditionText::DestructiveHint(it) => Condition::Hint(Hint::Destructive, it),
        ConditionText::IdempotentHint(it) => Condition::Hint(Hint::Idempotent, it),
        ConditionText::OpenWorldHint(it) => Condition::Hint(Hint::OpenWorld, it),
    })
}

fn test(text: TestText) -> Result<TextTest, String> {
    let pattern = |made: Result<Pattern, domain::InvalidPattern>| made.map_err(|it| it.to_string());
    Ok(match text {
        TestText::Is(it) => TextTest::Is(it),
        TestText::Contains(it) => TextTest::Contains(it),
        TestText::Glob(it) => TextTest::Glob(pattern(Pattern::glob(&it))?),
        TestText::Matches(it) => TextTest::Matches(pattern(Pattern::regex(&it))?),
    })
}

fn text(condition: Condition) -> ConditionText {
    let each = |all: Vec<_>| all.into_iter().map(text).collect();
    match condition {
        Condition::All(all) => ConditionText::All(each(all)),
        Condition::Any(any) => ConditionText::Any(each(any)),
        Condition::Name(it) => ConditionText::Name(test_text(it)),
        Condition::Title(it) => ConditionText::Title(test_text(it)),
        Condition::Description(it) => ConditionText::Description(test_text(it)),
        Condition::Hint(Hint::ReadOnly, it) => ConditionText::ReadOnlyHint(it),
        Condition::Hint(Hint::Destructive, it) => ConditionText::DestructiveHint(it),
        Condition::Hint(Hint::Idempotent, it) => ConditionText::IdempotentHint(it),
        Condition::Hint(Hint::OpenWorld, it) => ConditionText::OpenWorldHint(it),
    }
}

fn test_text(test: TextTest) -> TestText {
    match test {
        TextTest::Is(it) => TestText::Is(it),
        TextTest::Contains(it) => TestText::Contains(it),
        TextTest::Glob(it) => TestText::Glob(it.as_str().to_owned()),
        TextTest::Matches(it) => TestText::Matches(it.as_str().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn conditions_are_read_as_they_are_written() {
        let glob = json!({"name": {"glob": "read_*"}});
        let deep = (0..DEEPEST).fold(glob.clone(), |it, _| json!({"all": [it]}));
        let cases: [(Value, bool); 13] = [
            (glob.clone(), true),
            (json!({"any": [glob, {"readOnlyHint": true}, {"openWorldHint": false}]}), true),
            (json!({"description": {"matches": "(?i)delete|drop"}}), true),
            (json!({"title": {"is": "x"}}), true),
            (json!({"all": []}), true),
            (deep, false),
            (json!({"any": vec![json!({"readOnlyHint": true}); MOST_TESTS]}), false),
            (json!({"name": {"matches": "("}}), false),
            (json!({"name": "read"}), false),
            (json!({"name": {"is": "a", "glob": "b"}}), false),
            (json!({"schema": {"is": "a"}}), false),
            (json!({"readOnlyHint": "yes"}), false),
            (json!({}), false),
        ];
        for (value, good) in cases {
            let read: Result<Checked, _> = serde_json::from_value(value.clone());
            assert_eq!(read.is_ok(), good, "{value}");
            if let Ok(read) = read {
                assert_eq!(serde_json::to_value(read).unwrap(), value);
            }
        }
    }
}
