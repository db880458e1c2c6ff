//! JSON as it is written, for tests that look at every byte.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// A value inside a JSON text, as it is written there; nothing if it is not there.
pub fn find_raw(text: &str, path: &[&str]) -> Option<String> {
    let mut found = text.to_owned();
    for key in path {
        let object: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&found).ok()?;
        object.get(*key)?.get().clone_into(&mut found);
    }
    Some(found)
}

/// The same, for what must be there.
///
/// # Panics
/// If it is not.
pub fn raw(text: &str, path: &[&str]) -> String {
    find_raw(text, path).unwrap_or_else(|| panic!("no {path:?} in {text}"))
}
