//! What a gateway keeps, as files.

use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

/// Without sockets, which are of a process and not of what it keeps.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    std::fs::set_permissions(to, std::fs::metadata(from).unwrap().permissions()).unwrap();
    for item in std::fs::read_dir(from).unwrap() {
        let item = item.unwrap();
        let (from, to) = (item.path(), to.join(item.file_name()));
        let kind = item.file_type().unwrap();
        if kind.is_dir() {
            copy(&from, &to);
        } else if !kind.is_socket() {
            std::fs::copy(from, to).unwrap();
        }
    }
}
