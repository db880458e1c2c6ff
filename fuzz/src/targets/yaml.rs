//! Declarative files.

/// A file is refused or read, and read the same behind a comment and with other line ends.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let read = control::references(text);
    let commented = format!("# a comment\n{text}");
    if !text.starts_with(['%', '\u{feff}']) {
        let again = control::references(&commented);
        assert_eq!(again.is_ok(), read.is_ok(), "{read:?} {again:?}");
        assert_eq!(again.ok(), read.as_ref().ok().cloned());
    }
    // What an export would write says the same, in the same bytes once more.
    if let Ok(exported) = control::rewritten(text) {
        assert_eq!(control::rewritten(&exported).as_deref(), Ok(exported.as_str()));
        assert_eq!(control::references(&exported), read, "{exported}");
    }
}
