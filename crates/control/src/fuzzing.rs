//! What reads texts of others, for the fuzz targets.

use domain::{Condition, Described};

use crate::api::Paging;
use crate::assignments::Checked;
use crate::pins;

/// A condition as it would be written again, and whether it holds for something of this name with
/// this description.
///
/// # Errors
/// Where it is no condition.
pub fn condition(json: &str, name: &str, description: &str) -> Result<(String, bool), String> {
    let read: Checked = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let written = serde_json::to_string(&read).map_err(|error| error.to_string())?;
    let it = Described {
        name: name.into(),
        description: Some(description.into()),
        ..Described::default()
    };
    Ok((written, Condition::from(read).holds(&it)))
}

/// Where a page begins, by its limit and its cursor, and the cursor that would say so.
///
/// # Errors
/// Where they are from no page.
pub fn page(limit: &str, cursor: &str) -> Result<(String, String), String> {
    let paging = Paging::of(Some(limit), Some(cursor.to_owned())).map_err(|it| it.to_string())?;
    let after = paging.after().unwrap_or_default().to_owned();
    let next = paging.answer(vec![after.clone(); paging.limit() + 1], Clone::clone, |it| it);
    Ok((after, next.cursor().unwrap_or_default().to_owned()))
}

/// How many members of a definition have changed, and all that is shown of it.
pub fn differences(before: &str, after: &str) -> (usize, String) {
    pins::shown(before, after)
}
