//! The console's files, inside the binary.

use std::borrow::Cow;

/// Built by Vite. An empty folder makes a binary without console, which says so.
#[derive(rust_embed::RustEmbed)]
#[folder = "../../console/dist"]
struct Files;

/// One file.
pub(crate) struct File {
    pub(crate) media: &'static str,
    pub(crate) bytes: Cow<'static, [u8]>,
}

/// Finds a file by its path.
pub(crate) fn file(path: &str) -> Option<File> {
    let media = match path.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("json" | "map") => "application/json",
        Some("png") => "image/png",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    };
    let bytes = Files::get(path)?.data;
    Some(File { media, bytes })
}
