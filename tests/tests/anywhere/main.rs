//! Several replicas, any of which takes any request: what lives in one of them is reached through all.
#![expect(clippy::unwrap_used, reason = "what cannot be done is a failed test")]

mod ends;
mod guards;
mod held;
mod scene;
mod sdks;
mod sessions;
mod turns;
