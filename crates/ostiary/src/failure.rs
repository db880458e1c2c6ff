//! How a command can fail, as its exit code tells.

use std::process::ExitCode;

/// A failed command: one plain sentence, and a code that scripts can rely on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Configuration(String),
    #[error("{0}")]
    Other(String),
}

impl Failure {
    /// See `docs/handbook/commands.md`.
    pub(crate) fn code(&self) -> ExitCode {
        match self {
            Self::Other(_) => 1.into(),
            Self::Configuration(_) => 78.into(),
        }
    }

    /// A refusal of configuration, with everything that led to it.
    pub(crate) fn configuration(error: impl std::error::Error) -> Self {
        Self::Configuration(chain(&error))
    }

    /// Anything else, with everything that led to it.
    pub(crate) fn other(error: impl std::error::Error) -> Self {
        Self::Other(chain(&error))
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
