//! What an act has changed, as it is kept and as it is shown.
//!
//! Both sides are what a GET shows of the object, so no secret is among them: what is written and
//! never read stands as `set` or `changed`. What is too large is told by its changed members alone,
//! and of what is left out stay its length and its digest.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::api::Touched;
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
    /// Whether something was too large to be kept.
    pub(crate) is_cut: bool,
}

/// Both sides are kept up to so many bytes in all; beyond, the differences alone.
const MOST_BYTES: usize = 64 * 1024;

/// Of one side of one difference, then.
const MOST_OF_VALUE: usize = 2 * 1024;

/// Of all differences: what is beyond is left out.
const MOST_OF_CHANGES: usize = 128 * 1024;

impl Deed {
    /// Nothing where nothing has been changed.
    pub(super) fn of(touched: &Touched) -> Option<Self> {
        let Touched { before, after, sealed, .. } = touched;
        if before.is_none() && after.is_none() {
            return None;
        }
        let side = |value: &Option<Value>| match value {
            Some(Value::Object(members)) => members.clone(),
            _ => Map::new(),
        };
        let mut changes = files::differences(&side(before), &side(after));
        let word = |is_new: bool| if is_new { "set" } else { "changed" };
        for member in sealed {
            let before_ = if before.is_none() { Value::Null } else { json!("set") };
            let after = json!(word(before.is_none()));
            changes.push(Difference { member: member.clone(), before: before_, after });
        }
        let mut deed = Self {
            before: before.clone().unwrap_or_default(),
            after: after.clone().unwrap_or_default(),
            changes,
            is_cut: false,
        };
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
            shorten(side);
        }
        let mut room = MOST_OF_CHANGES;
        self.changes.retain_mut(|it| {
            for side in [&mut it.before, &mut it.after] {
                shorten(side);
            }
            let bytes = size(it);
            let fits = bytes <= room;
            room = room.saturating_sub(bytes);
            fits
        });
    }
}

/// What is too long to be shown is known again by its digest.
fn shorten(value: &mut Value) {
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    if MOST_OF_VALUE < bytes.len() {
        *value = json!({"bytes": bytes.len(), "sha256": hex::encode(sha256(&bytes))});
    }
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
    }

    #[test]
    fn what_is_large_is_told_by_its_changed_members() {
        let before: Vec<String> = (0..20_000).map(|i| format!("u{i}")).collect();
        let sides =
            (json!({"name": "all", "members": before}), json!({"name": "any", "members": []}));
        let whole = serde_json::to_vec(&sides.0).unwrap();
        let touched = Touched::new("team", Uuid::nil(), "all");
        let touched = Touched { before: Some(sides.0), after: Some(sides.1.clone()), ..touched };
        let deed = Deed::of(&touched).unwrap();
        assert!(deed.is_cut);
        let digest = json!({"bytes": whole.len(), "sha256": hex::encode(sha256(&whole))});
        assert_eq!((&deed.before, &deed.after), (&digest, &sides.1));
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
    }
}
