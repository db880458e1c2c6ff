//! What a server says of one thing on offer, or of itself, as it is approved and decided upon.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use domain::ports::Sighting;
use domain::{DefinitionHash, Described, Hint, PinKey, PinKind, Review, Server};
use mcp::json::{Limits, Raw, quote, sorted};

use super::listing::Offer;
use super::{List, Listing, Look};

/// What decisions look at of a tool, prompt, resource or resource template. Made once for each
/// listing.
pub(crate) struct Definition {
    /// What an approval of it is bound to. Of a resource, which needs none, it means nothing.
    pub(crate) pin: PinKey,
    /// What conditions look at.
    pub(crate) described: Described,
}

/// What a server tells models of itself as a whole.
pub(crate) struct Instructions {
    pub(crate) text: String,
    /// What an approval of it is bound to.
    pub(crate) pin: PinKey,
}

impl Instructions {
    /// What stands for the name that they do not have.
    const NAME: &str = "instructions";

    pub(super) fn of(text: String) -> Self {
        let mut hash = DefinitionHash([0; 32]);
        hash.0.copy_from_slice(digest(&SHA256, object_of(&text).as_bytes()).as_ref());
        Self { text, pin: PinKey { kind: PinKind::Instructions, hash } }
    }
}

/// In its canonical form.
fn object_of(instructions: &str) -> String {
    format!(r#"{{"instructions":{}}}"#, quote(instructions))
}

impl Definition {
    pub(super) fn of(object: Raw<'_>, list: List) -> Arc<Self> {
        let kind = match list {
            List::Prompts => PinKind::Prompt,
            List::Resources | List::Templates => PinKind::Template,
            List::Tools => PinKind::Tool,
        };
        let mut hash = DefinitionHash([0; 32]);
        if list != List::Resources {
            hash.0.copy_from_slice(digest(&SHA256, &sorted(object)).as_ref());
        }
        Arc::new(Self { pin: PinKey { kind, hash }, described: described(object, list) })
    }
}

/// What its server says of one thing on a list.
pub(crate) fn described(object: Raw<'_>, list: List) -> Described {
    let text = |path: &[&str]| object.at(path).and_then(Raw::str).map(Box::from);
    let hint = |it: Hint| object.at(&["annotations", it.as_str()]).and_then(Raw::bool);
    Described {
        name: text(&[list.key()]).unwrap_or_default(),
        title: text(&["title"]).or_else(|| text(&["annotations", "title"])),
        description: text(&["description"]),
        hints: Hint::ALL.map(hint),
    }
}

/// Tells of what the server has listed and nobody has approved, where that is asked for.
pub(super) fn tell(look: &Look<'_>, server: &Server, listing: &Listing) {
    let Review::On(approved) = &server.review else { return };
    let definitions = &look.worker.proxy.definitions;
    let is_news = |pin: PinKey| !approved.contains(&pin) && definitions.is_news(server.id, pin);
    let kinds = [&listing.tools, &listing.prompts, &listing.templates];
    let offers = kinds.into_iter().flatten().filter(|it| is_news(it.definition.pin));
    let said = listing.instructions.iter().filter(|it| is_news(it.pin)).map(|it| Sighting {
        pin: it.pin,
        name: Instructions::NAME.into(),
        text: object_of(&it.text).into(),
    });
    let found: Vec<Sighting> = said.chain(offers.filter_map(sighting)).collect();
    if !found.is_empty() {
        definitions.note(look.caller.workspace.id, server.id, found);
    }
}

fn sighting(offer: &Offer) -> Option<Sighting> {
    let object = Raw::parse(&offer.raw, Limits::default()).ok()?;
    let text = String::from_utf8(sorted(object)).ok()?.into();
    Some(Sighting { pin: offer.definition.pin, name: offer.name.clone(), text })
}
