//! Everything that reads bytes of others, given any bytes.
//!
//! A target takes bytes and panics if something is wrong: with more than a crash wherever there is
//! more to say, such as that what has been read can be written again, or that it makes no difference
//! in what pieces it came. Inputs from which to begin are in `corpus`, a folder for each target;
//! what has once been found wrong stays there.
//!
//! `make fuzz` lets libFuzzer look for more; `make test` tries the corpus and some changes of it.
#![expect(clippy::unwrap_used, reason = "what must not be is a finding")]

mod mutate;
mod targets;

pub use mutate::Mutator;

/// Something that reads bytes of others.
#[derive(Clone, Copy)]
pub struct Target {
    /// What its folder of the corpus is called.
    pub name: &'static str,
    /// Panics if something is wrong.
    pub check: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 22] = [
    Target { name: "bridge", check: targets::bridge::check },
    Target { name: "conditions", check: targets::approvals::conditions },
    Target { name: "config", check: targets::config::check },
    Target { name: "convert", check: targets::convert::check },
    Target { name: "cursors", check: targets::approvals::cursors },
    Target { name: "definitions", check: targets::approvals::definitions },
    Target { name: "envelope", check: targets::json::envelope },
    Target { name: "headers", check: targets::headers::check },
    Target { name: "http", check: targets::streams::http },
    Target { name: "json", check: targets::json::document },
    Target { name: "names", check: targets::names::names },
    Target { name: "note", check: targets::audit::note },
    Target { name: "policies", check: targets::policies::check },
    Target { name: "proof", check: targets::audit::proof },
    Target { name: "record", check: targets::audit::record },
    Target { name: "rules", check: targets::rules::check },
    Target { name: "sealed", check: targets::names::sealed },
    Target { name: "segment", check: targets::log::segment },
    Target { name: "sse", check: targets::streams::sse },
    Target { name: "stdio", check: targets::streams::stdio },
    Target { name: "tiles", check: targets::log::tiles },
    Target { name: "yaml", check: targets::yaml::check },
];

/// The target of that name.
pub fn find(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|it| it.name == name)
}
