//! Names that clients bring back, and what is sealed for them.

use mcp::bridge::state::{Bound, Kind, Misfit, State, States};
use mcp::names::{Names, exposed_uri, is_alias, split_uri};
use mcp::sealed::Sealer;

/// Lines of an alias and a name, apart by a blank.
pub(crate) fn names(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let pairs: Vec<(&str, &str)> = text.lines().filter_map(|it| it.split_once(' ')).collect();
    let names = Names::build(pairs.iter().copied());
    for (alias, name) in pairs {
        if let Some(exposed) = names.exposed(alias, name) {
            assert_eq!(names.resolve(&exposed), Some((alias, name)), "{exposed}");
            assert!(exposed.len() <= 128);
        }
        if is_alias(alias) && !name.is_empty() {
            assert_eq!(split_uri(&exposed_uri(alias, name)), Some((alias, name)));
        }
    }
    // What nobody has exposed is nobody's.
    if let Some((alias, name)) = names.resolve(text) {
        assert_eq!(names.exposed(alias, name).as_deref(), Some(text));
    }
}

/// A text that a client brings back; and any texts to seal, apart by line ends.
pub(crate) fn sealed(bytes: &[u8]) {
    let (sealer, states) = (Sealer::new([7; 32]), States::new([7; 32]));
    let text = String::from_utf8_lossy(bytes).into_owned();
    let mut parts = text.split('\n').map(str::to_owned).chain(std::iter::repeat(String::new()));
    let mut part = || parts.next().expect("without end");
    let bound = Bound {
        workspace: part(),
        principal: part(),
        route: part(),
        upstream: part(),
        method: part(),
        params: part(),
    };
    assert_eq!(states.open(&text, &bound, 0), Err(Misfit::Foreign), "nobody has sealed that");
    assert_eq!(sealer.open("cursor", &[b"w"], &text), None);
    let state = State {
        kind: if bytes.len().is_multiple_of(2) { Kind::Parked } else { Kind::Replay },
        node: part(),
        call: part(),
        bound: bound.clone(),
        round: u32::try_from(bytes.len()).unwrap(),
        issued_ms: -5,
        expires_ms: 5,
    };
    let sealed = states.seal(&state);
    assert_eq!(states.open(&sealed, &bound, 0), Ok(state));
    let mut other = bound.clone();
    other.route.push('x');
    assert_eq!(states.open(&sealed, &other, 0), Err(Misfit::Foreign));
    // Where one part ends and the next begins is part of what is bound.
    let (one, two) = bytes.split_at(bytes.len() / 2);
    let token = sealer.seal("cursor", &[one, two], bytes);
    assert_eq!(sealer.open("cursor", &[one, two], &token).as_deref(), Some(bytes));
    if !bytes.is_empty() {
        assert_eq!(sealer.open("cursor", &[bytes, b""], &token), None);
        assert_eq!(sealer.open("task", &[one, two], &token), None);
    }
}
