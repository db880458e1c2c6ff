//! One server of a place, with what it has listed.

use std::sync::Arc;

use bytes::Bytes;
use domain::{Assignment, Provision, Switches, Target, TasksSetting};
use mcp::json::{Limits, Raw, quote};
use mcp::revision::Era;

use super::{Definition, List, Listing};

/// A server under the alias that it has there.
pub(crate) struct Part {
    pub(crate) assignment: Arc<Assignment>,
    pub(crate) listing: Arc<Listing>,
}

impl Part {
    /// Whether its server was listed in the era that has no such tasks.
    pub(super) fn is_modern(&self) -> bool {
        self.listing.spoken == Era::Modern
    }

    /// What its server says of itself to people. While it is under review that is its name and version,
    /// since nobody has looked at the rest.
    pub(crate) fn info(&self) -> Option<Bytes> {
        /// Longer ones say something else.
        const LONGEST: usize = 100;

        let info = self.listing.info.clone()?;
        if !self.assignment.server.review.is_on() {
            return Some(info);
        }
        let object = Raw::parse(&info, Limits::default()).ok()?;
        let short = |key| object.get(key).and_then(Raw::str).filter(|it| it.len() <= LONGEST);
        let (name, version) = (short("name")?, short("version")?);
        Some(format!(r#"{{"name":{},"version":{}}}"#, quote(&name), quote(&version)).into())
    }

    /// Whether its server's tasks are waited for here.
    pub(crate) fn is_waited_for(&self) -> bool {
        self.assignment.server.tasks == TasksSetting::Wait
    }

    /// Whether what is described so is exposed, and approved where that is asked for. A resource is
    /// data and needs no approval.
    pub(super) fn admits(&self, list: List, definition: &Definition) -> bool {
        let it = &self.assignment;
        it.provision(list.kind()).admits(&definition.described)
            && (list == List::Resources || it.server.review.admits(definition.pin))
    }

    /// Whether anything of it may be seen now. What a server says of itself goes with it.
    pub(crate) fn is_shown(&self, switches: &Switches, now: chrono::DateTime<chrono::Utc>) -> bool {
        let it = &self.assignment;
        let is_exposed = [&it.tools, &it.prompts, &it.resources].into_iter().any(|it| match it {
            Provision::All => true,
            Provision::Nothing => false,
            Provision::Named(names) => !names.is_empty(),
            Provision::Where(_) => true,
        });
        let targets = [Target::Assignment(it.id), Target::Server(it.server.id)];
        is_exposed && targets.iter().all(|it| switches.find(it, now).is_none())
    }
}
