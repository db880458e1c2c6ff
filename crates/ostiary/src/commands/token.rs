//! `ostiary admin-token`: how administrators sign in.

use std::path::Path;
use std::process::ExitCode;

use super::files;
use crate::failure::Failure;
use crate::print;
use crate::serve::House;

/// Prints a new admin token, alone on standard output.
pub(crate) fn mint_admin(data: &Path, (name, sets_up): (&str, bool)) -> Result<ExitCode, Failure> {
    let secret = files::offline(data, async |house: &House| {
        let control = &house.control;
        let minted = if sets_up {
            control.mint_set_up_token(name).await
        } else {
            control.mint_admin_token(name).await
        };
        minted.map_err(Failure::other)
    })?;
    print::line(secret.expose_text().unwrap_or_default());
    Ok(ExitCode::SUCCESS)
}
