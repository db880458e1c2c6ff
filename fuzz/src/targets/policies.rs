//! Policies that administrators write, and the arguments of calls that they are asked about.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::policies::{Attributes, Caller, Facts, How, Thing, Verdict};
use domain::{Kind, PolicyBook, PolicyText, ToolLabel};

use super::halves;

/// A policy, and the arguments of a call. What is no policy is refused with places that are in the
/// text. What is one is read as the same again, and refuses no list of what it lets be called.
pub(crate) fn check(bytes: &[u8]) {
    let (text, arguments) = halves(bytes);
    let Ok(text) = std::str::from_utf8(text) else { return };
    let parsed = match PolicyText::parse(text) {
        Ok(parsed) => parsed,
        Err(faults) => {
            assert!(!faults.is_empty());
            let lines = 1 + text.matches('\n').count();
            assert!(faults.iter().all(|it| it.line.is_none_or(|it| (1..=lines).contains(&it))));
            return;
        }
    };
    assert_eq!(PolicyText::parse(parsed.as_str()).unwrap().names(), parsed.names());
    let book = PolicyBook::new(vec![("p".parse().unwrap(), Arc::new(parsed))]);
    let arguments = serde_json::from_slice(arguments).ok();
    let now = DateTime::<Utc>::from_timestamp(1_767_225_600, 0);
    let address = Some("10.1.2.3".parse().unwrap());
    for (caller, thing) in askers() {
        let list = Facts { now, address, arguments: None };
        let call = Facts { arguments: arguments.as_ref(), ..list };
        let (listed, called) =
            (book.decide(&caller, &thing, &list), book.decide(&caller, &thing, &call));
        assert_eq!(called, book.decide(&caller, &thing, &call));
        if arguments.is_some() {
            assert!(!matches!(called, Verdict::Open(_)), "everything is known");
        }
        let is_hidden = matches!(listed, Verdict::Refused(_));
        assert!(!is_hidden || called != Verdict::Allowed, "hidden in lists, and let by");
        // Arguments that cannot be looked at are refused, whatever would have come of looking.
        let is_garbled =
            matches!(&called, Verdict::Refused(it) if matches!(it.how, How::Argument(_)));
        let is_let_by = called == Verdict::Allowed || is_garbled;
        assert!(listed != Verdict::Allowed || is_let_by, "let by whatever comes");
    }
}

/// Somebody of whom nothing is known and somebody of whom much is, with a thing of each kind.
fn askers() -> Vec<(Caller, Thing)> {
    let labels = BTreeSet::from(["pii".into(), "attended".into()]);
    let known = Caller {
        app: "bot".into(),
        labels: labels.clone(),
        user: "ann".into(),
        attributes: Attributes {
            department: "sales".into(),
            clearance: 3,
            groups: BTreeSet::from(["a".into()]),
            network: Some("10.0.0.0/8".into()),
            assurance: 2,
        },
        teams: BTreeSet::from(["dev".into(), "ops".into()]),
    };
    let thing = |kind, labels: BTreeSet<Box<str>>| Thing {
        kind,
        name: "pay".into(),
        server: "mail".into(),
        server_labels: labels.clone(),
        gateway: "main".into(),
        label: ToolLabel { effect: None, labels },
        hints: Some([None, Some(false), None, None]),
    };
    vec![
        (Caller::default(), thing(Kind::Tool, BTreeSet::new())),
        (known.clone(), thing(Kind::Tool, labels.clone())),
        (known.clone(), thing(Kind::Prompt, BTreeSet::new())),
        (known, thing(Kind::Resource, labels)),
    ]
}
