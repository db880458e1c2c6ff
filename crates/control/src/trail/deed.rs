//! What an act has changed, as it is kept and as it is shown.
//!
//! Both sides are what a GET shows of the object, so no secret is among them: what is written and
//! never read stands as `set` or `changed`, and what processes of servers are run with is masked
//! ([`masked`]). Of what is too large stay its length and its digest, and it is said which members
//! that are, the largest first: as much as fits is kept.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::masked;
use crate::api::Touched;
use crate::belongings::Belonging;
use crate::files::{self, Difference};
use crate::secret::sha256;

/// What an act has changed.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct Deed {
    /// The object before, as a GET showed it; `null` where there was none. Where it is too large, its
    /// length in `bytes` and its `sha256` as JSON.
    pub(crate) before: Value,
    /// The object after, likewise.
    pub(crate) after: Value,
    /// The members that differ. A secret is never shown: it is `set` or `changed`.
    pub(crate) changes: Vec<Difference>,
    /// What has gone with it, as the tokens of an app do.
    #[serde(default)]
    pub(crate) taken: Vec<Belonging>,
    /// How many that were; more than are named where there were too many.
    #[serde(default)]
    pub(crate) taken_in_all: usize,
    /// Whether something was too large to be kept.
    pub(crate) is_cut: bool,
    /// Members of the object of which no more is kept than length and digest, before or after.
    #[serde(default)]
    pub(crate) shortened: Vec<String>,
    /// Members that differ, and of which nothing is kept, since there are too many.
    #[serde(default)]
    pub(crate) left_out: Vec<String>,
    /// How many more of these there are than are named.
    #[serde(default)]
    pub(crate) left_out_beyond: usize,
}

/// Both sides and the differences are kept whole up to so many bytes in all.
const MOST_BYTES: usize = 64 * 1024;

/// Of one member, else.
const MOST_OF_VALUE: usize = 2 * 1024;

/// Of one side, then.
const MOST_OF_SIDE: usize = 32 * 1024;

/// Of all differences: what is beyond is left out.
const MOST_OF_CHANGES: usize = 128 * 1024;

/// How much is named that has gone with something: some 200 bytes each.
const MOST_TAKEN: usize = 1_000;

/// How many members are named that are not kept.
const MOST_NAMED: usize = 200;

impl Deed {
    /// Nothing where nothing has been changed.
    pub(super) fn of(touched: &Touched) -> Option<Self> {
        let Touched { before, after, sealed, taken, .. } = touched;
        if before.is_none() && after.is_none() {
            return None;
        }
        let side = |value: &Option<Value>| match value {
            Some(Value::Object(members)) => members.clone(),
            _ => Map::new(),
        };
        let mut changes = files::differences(&side(before), &side(after));
        changes.iter_mut().for_each(masked::difference);
        for member in sealed {
            let is_new = before.as_ref().is_none_or(|it| !had(it, member));
            let before = if is_new { Value::Null } else { json!("set") };
            let after = json!(if is_new { "set" } else { "changed" });
            changes.push(Difference { member: member.clone(), before, after });
        }
        let mut deed = Self {
            before: before.clone().unwrap_or_default(),
            after: after.clone().unwrap_or_default(),
            changes,
            taken: taken.iter().take(MOST_TAKEN).cloned().collect(),
            taken_in_all: taken.len(),
            is_cut: MOST_TAKEN < taken.len(),
            shortened: Vec::new(),
            left_out: Vec::new(),
            left_out_beyond: 0,
        };
        masked::object(&mut deed.before);
        masked::object(&mut deed.after);
        deed.cut();
        Some(deed)
    }

    /// As it is kept.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// As it was kept.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    fn cut(&mut self) {
        if size(&self.before) + size(&self.after) + size(&self.changes) <= MOST_BYTES {
            return;
        }
        self.is_cut = true;
        for side in [&mut self.before, &mut self.after] {
            shorten_members(side, &mut self.shortened);
        }
        self.shortened.sort();
        self.shortened.dedup();
        self.shortened.truncate(MOST_NAMED);
        // The small ones first: as many as fit.
        let mut sizes = Vec::with_capacity(self.changes.len());
        for (i, it) in self.changes.iter_mut().enumerate() {
            shorten(&mut it.before, MOST_OF_VALUE);
            shorten(&mut it.after, MOST_OF_VALUE);
            sizes.push((size(it), i));
        }
        sizes.sort_unstable();
        let mut room = MOST_OF_CHANGES;
        let mut fits = vec![false; self.changes.len()];
        for (bytes, i) in sizes {
            if bytes <= room {
                room -= bytes;
                fits[i] = true;
            }
        }
        let all = std::mem::take(&mut self.changes).into_iter().zip(fits);
        let (kept, beyond): (Vec<_>, Vec<_>) = all.partition(|it| it.1);
        self.changes = kept.into_iter().map(|it| it.0).collect();
        self.left_out_beyond = beyond.len().saturating_sub(MOST_NAMED);
        self.left_out = beyond.into_iter().take(MOST_NAMED).map(|it| it.0.member).collect();
    }
}

/// Whether an object had a member that is written and never read, as far as it shows of which there were:
/// of headers it shows the names.
fn had(before: &Value, member: &str) -> bool {
    let listed = member.split_once('.').and_then(|(list, name)| {
        let names = before.get(list)?.as_array()?;
        Some(names.iter().any(|it| it == name))
    });
    listed.unwrap_or(true)
}

/// One member after the other, the largest first, until the side fits; then the whole of it.
fn shorten_members(side: &mut Value, shortened: &mut Vec<String>) {
    let whole = serde_json::to_vec(side).unwrap_or_default();
    let Value::Object(members) = side else { return };
    let mut total = whole.len();
    let mut sizes: Vec<_> = members.iter().map(|(name, it)| (size(it), name.clone())).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    for (bytes, name) in sizes {
        if total <= MOST_OF_SIDE || bytes <= MOST_OF_VALUE {
            break;
        }
        if let Some(member) = members.get_mut(&name) {
            shorten(member, MOST_OF_VALUE);
            total = total - bytes + size(member);
            shortened.push(name);
        }
    }
    if MOST_OF_SIDE < total {
        *side = digest(&whole);
    }
}

/// What is too long to be shown is known again by its digest.
fn shorten(value: &mut Value, most: usize) {
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    if most < bytes.len() {
        *value = digest(&bytes);
    }
}

fn digest(bytes: &[u8]) -> Value {
    json!({"bytes": bytes.len(), "sha256": hex::encode(sha256(bytes))})
}

fn size(value: &impl Serialize) -> usize {
    serde_json::to_vec(value).map_or(0, |it| it.len())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn secrets_are_told_of_and_never_told() {
        let touched = Touched::new("identity", Uuid::nil(), "a");
        let made = Touched { after: Some(json!({"name": "a"})), ..touched.clone() };
        let deed = Deed::of(&made.sealing(["headers.authorization".to_owned()])).unwrap();
        let told = json!([
            {"member": "name", "before": null, "after": "a"},
            {"member": "headers.authorization", "before": null, "after": "set"},
        ]);
        assert_eq!(json!(deed.changes), told);
        let (before, after) = (Some(json!({"name": "a"})), Some(json!({"name": "a"})));
        let changed = Touched { before, after, ..touched };
        let deed = Deed::of(&changed.sealing(["headers.authorization".to_owned()])).unwrap();
        let told = json!([
            {"member": "headers.authorization", "before": "set", "after": "changed"},
        ]);
        assert_eq!(json!(deed.changes), told);
        // Whether it is another one is seen where the names are.
        let shown = |names: Value| Some(json!({"name": "a", "headers": names}));
        let touched = Touched::new("identity", Uuid::nil(), "a");
        let (before, after) = (shown(json!(["one"])), shown(json!(["one", "two"])));
        let changed = Touched { before, after, ..touched };
        let sealed = ["headers.one".to_owned(), "headers.two".to_owned()];
        let deed = Deed::of(&changed.sealing(sealed)).unwrap();
        let told = json!([
            {"member": "headers.one", "before": "set", "after": "changed"},
            {"member": "headers.two", "before": null, "after": "set"},
        ]);
        assert_eq!(json!(deed.changes[1..]), told);
    }

    #[test]
    fn what_is_large_is_told_by_its_changed_members() {
        let before: Vec<String> = (0..20_000).map(|i| format!("u{i}")).collect();
        let sides =
            (json!({"name": "all", "members": before}), json!({"name": "any", "members": []}));
        let whole = serde_json::to_vec(&sides.0["members"]).unwrap();
        let touched = Touched::new("team", Uuid::nil(), "all");
        let touched = Touched { before: Some(sides.0), after: Some(sides.1.clone()), ..touched };
        let deed = Deed::of(&touched).unwrap();
        assert!(deed.is_cut);
        let digest = json!({"bytes": whole.len(), "sha256": hex::encode(sha256(&whole))});
        let before = json!({"name": "all", "members": digest});
        assert_eq!((&deed.before, &deed.after), (&before, &sides.1));
        assert_eq!(deed.shortened, ["members"]);
        let members: Vec<&str> = deed.changes.iter().map(|it| it.member.as_str()).collect();
        assert_eq!(members, ["name", "members"]);
        assert!(deed.changes[1].before["sha256"].is_string(), "{deed:?}");
        assert!(deed.to_bytes().len() < MOST_OF_CHANGES);
        let again = Deed::from_bytes(&deed.to_bytes()).unwrap();
        assert_eq!(again.changes, deed.changes);
    }

    #[test]
    fn however_much_has_changed_what_is_kept_is_bounded() {
        let many: Map<String, Value> =
            (0..50_000).map(|i| (format!("member{i}"), json!("x".repeat(100)))).collect();
        let touched = Touched::new("files", Uuid::nil(), "many");
        let touched = Touched { after: Some(Value::Object(many)), ..touched };
        let deed = Deed::of(&touched).unwrap();
        assert!(deed.is_cut && deed.after["sha256"].is_string());
        assert!(deed.to_bytes().len() < 2 * MOST_OF_CHANGES, "{}", deed.to_bytes().len());
        let told = deed.changes.len() + deed.left_out.len() + deed.left_out_beyond;
        assert_eq!((told, deed.left_out.len()), (50_000, MOST_NAMED), "each is told of or counted");
    }

    /// One that is large takes nothing from those that are small.
    #[test]
    fn as_many_as_fit_are_kept_and_the_others_are_named() {
        let mut members: Map<String, Value> =
            (0..10).map(|i| (format!("small{i}"), json!("x".repeat(10)))).collect();
        // Each as large as may be, and more than fit.
        members.extend((0..200).map(|i| (format!("large{i:03}"), json!("x".repeat(1_900)))));
        members.insert("huge".into(), json!("x".repeat(100_000)));
        let touched = Touched::new("server", Uuid::nil(), "many");
        let touched = Touched { after: Some(Value::Object(members)), ..touched };
        let deed = Deed::of(&touched).unwrap();
        let has = |name: &str| deed.changes.iter().any(|it| it.member == name);
        assert!((0..10).all(|i| has(&format!("small{i}"))), "{:?}", deed.left_out);
        assert!(has("huge"), "by its digest");
        assert!(60 < deed.changes.len() && !deed.left_out.is_empty());
        assert!(deed.left_out.iter().all(|it| it.starts_with("large") && !has(it)));
        assert_eq!(deed.changes.len() + deed.left_out.len(), 211);
        assert_eq!(deed.shortened[0], "huge");
    }

    #[test]
    fn what_was_kept_by_an_older_version_is_read() {
        let kept = br#"{"before":null,"after":{"name":"a"},"changes":[],"is_cut":false}"#;
        assert_eq!(Deed::from_bytes(kept).unwrap().after["name"], "a");
    }

    #[test]
    fn what_a_process_is_run_with_is_not_told() {
        let transport = |value: &str| {
            json!({"name": "a", "transport": {"type": "stdio", "command": "npx",
                   "args": ["--token", value], "env": {"KEY": value, "SAME": "same"}}})
        };
        let touched = Touched::new("server", Uuid::nil(), "a");
        let (before, after) = (Some(transport("hunter2")), Some(transport("hunter3")));
        let changed = Deed::of(&Touched { before, after, ..touched.clone() }).unwrap();
        let made = Deed::of(&Touched { after: Some(transport("hunter2")), ..touched }).unwrap();
        for deed in [&changed, &made] {
            let text = String::from_utf8(deed.to_bytes()).unwrap();
            assert!(!text.contains("hunter") && !text.contains("same"), "{text}");
        }
        let told: Vec<_> = changed.changes.iter().map(|it| it.member.as_str()).collect();
        assert_eq!(told, ["transport.args", "transport.env.KEY"]);
    }
}
