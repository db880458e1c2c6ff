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

    /// Looks into the file again; what stands there now, or what another request has found there, if
    /// it is not what was `sent`.
    pub(super) fn other_than(&self, sent: Option<&HeaderValue>) -> Option<HeaderValue> {
        let fresh = self.file.as_ref().and_then(|path| read(path).and_then(|it| header(&it)).ok());
        let mut held = self.header.lock();
        *held = fresh.or(held.take());
        held.clone().filter(|it| Some(it) != sent)
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
