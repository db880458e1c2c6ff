//! What the gateway knows its client by.

use std::path::PathBuf;

use http::HeaderValue;
use parking_lot::Mutex;

use crate::config;
use crate::failure::Failure;

/// A token, as a header. It never stands on the command line, which others on the machine can read.
pub(super) struct Token {
    file: Option<PathBuf>,
    header: Mutex<Option<HeaderValue>>,
}

impl Token {
    /// The one in the file, if there is a file, else that of `OSTIARY_TOKEN`, if there is one: a
    /// gateway of `ostiary dev` asks for none.
    ///
    /// # Errors
    /// If the file cannot be read, or what is there cannot be a token.
    pub(super) fn find(file: Option<PathBuf>) -> Result<Self, Failure> {
        let text = match &file {
            Some(path) => Some(read(path)?),
            None => config::env("OSTIARY_TOKEN"),
        };
        let header = text.as_deref().map(header).transpose()?;
        Ok(Self { file, header: Mutex::new(header) })
    }

    /// The value of `Authorization`.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        self.header.lock().clone()
    }

    /// Looks into the file again; whether another token stands there now.
    pub(super) fn is_renewed(&self) -> bool {
        let Some(path) = &self.file else { return false };
        let Ok(fresh) = read(path).and_then(|it| header(&it)) else { return false };
        let mut held = self.header.lock();
        let is_other = held.as_ref() != Some(&fresh);
        *held = Some(fresh);
        is_other
    }
}

fn read(path: &PathBuf) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| {
        let path = path.display();
        Failure::Authentication(format!("the token file {path} cannot be read: {error}"))
    })
}

fn header(text: &str) -> Result<HeaderValue, Failure> {
    let token = text.trim();
    let is_visible = !token.is_empty() && token.bytes().all(|it| it.is_ascii_graphic());
    let value = HeaderValue::try_from(format!("Bearer {token}")).ok().filter(|_| is_visible);
    let mut value = value.ok_or_else(|| {
        let text = "the token is empty or holds characters that no token has";
        Failure::Authentication(text.to_owned())
    })?;
    value.set_sensitive(true);
    Ok(value)
}
