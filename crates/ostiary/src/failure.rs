//! How a command can fail, as its exit code tells.

use std::process::ExitCode;

/// A failed command: one plain sentence, and a code that scripts can rely on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Authentication(String),
    #[error("{0}")]
    Configuration(String),
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Other(String),
    #[error("{0}")]
    Unavailable(String),
    #[error("{0}")]
    Usage(String),
}

impl Failure {
    /// See `docs/handbook/commands.md`.
    pub(crate) fn code(&self) -> ExitCode {
        match self {
            Self::Other(_) => 1.into(),
            Self::Usage(_) => 2.into(),
            Self::Authentication(_) => 3.into(),
            Self::NotFound(_) => 4.into(),
            Self::Conflict(_) => 5.into(),
            Self::Unavailable(_) => 69.into(),
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
        let cause = error.to_string();
        // Transparent wrappers would say the same thing twice.
        if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        source = error.source();
    }
    text
}
