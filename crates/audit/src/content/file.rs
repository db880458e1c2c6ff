//! Names of content files: `workspace/day/number.content`, or `.open` while it is being written.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::seal::sound_end;

/// A content file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) workspace: Uuid,
    pub(crate) day: i32,
    pub(crate) number: u32,
}

impl Name {
    /// While items are appended, and after a crash.
    pub(crate) fn open_path(self, dir: &Path) -> PathBuf {
        day_folder(dir, self.workspace, self.day).join(format!("{:06}.open", self.number))
    }

    /// When it is complete.
    pub(crate) fn path(self, dir: &Path) -> PathBuf {
        day_folder(dir, self.workspace, self.day).join(format!("{:06}.content", self.number))
    }

    pub(crate) fn create(self, dir: &Path) -> io::Result<File> {
        let path = self.open_path(dir);
        let create = || OpenOptions::new().write(true).create_new(true).open(&path);
        match create() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(day_folder(dir, self.workspace, self.day))?;
                create()
            }
            other => other,
        }
    }

    /// Opens it for reading under whichever name it has.
    pub(crate) fn open(self, dir: &Path) -> io::Result<Option<File>> {
        // It may be renamed between the first look and the second.
        for path in [self.path(dir), self.open_path(dir), self.path(dir)] {
            match File::open(path) {
                Ok(file) => return Ok(Some(file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Nothing more will be appended: gives it its final name, or removes it if it holds nothing.
    pub(crate) fn complete(self, dir: &Path) -> io::Result<()> {
        let path = self.open_path(dir);
        if fs::metadata(&path)?.len() == 0 {
            fs::remove_file(path)
        } else {
            fs::rename(path, self.path(dir))
        }
    }

    /// Reads the name of a file in the folder of a day.
    pub(crate) fn read(file_name: &str) -> Option<(u32, Kind)> {
        let (digits, extension) = file_name.split_once('.')?;
        let kind = match extension {
            "content" => Kind::Complete,
            "open" => Kind::Open,
            "erased" => Kind::Erased,
            _ => return None,
        };
        let number: u32 = digits.parse().ok()?;
        (format!("{number:06}") == digits).then_some((number, kind))
    }
}

/// What a file in the folder of a day is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing more is appended.
    Complete,
    /// Being written, or left by a crash.
    Open,
    /// An empty file: content up to this number was erased.
    Erased,
}

/// The folder of a day.
pub(crate) fn day_folder(dir: &Path, workspace: Uuid, day: i32) -> PathBuf {
    dir.join(workspace.to_string()).join(day.to_string())
}

/// The files of a day. None when there is no such day.
pub(crate) fn list(dir: &Path, workspace: Uuid, day: i32) -> io::Result<Vec<(u32, Kind)>> {
    let items = match fs::read_dir(day_folder(dir, workspace, day)) {
        Ok(items) => items,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(error),
    };
    let mut found = vec![];
    for item in items {
        found.extend(item?.file_name().to_str().and_then(Name::read));
    }
    Ok(found)
}

/// Whether a file that is not there was erased on purpose.
pub(crate) fn is_erased(dir: &Path, name: Name) -> io::Result<bool> {
    let files = list(dir, name.workspace, name.day)?;
    Ok(files.iter().any(|(number, kind)| *kind == Kind::Erased && *number >= name.number))
}

/// Removes the content of a day for good and leaves a mark that says so.
pub(crate) fn erase(dir: &Path, workspace: Uuid, day: i32) -> io::Result<()> {
    let folder = day_folder(dir, workspace, day);
    let files = list(dir, workspace, day)?;
    let Some(last) = files.iter().map(|(number, _)| *number).max() else { return Ok(()) };
    let mark = format!("{last:06}.erased");
    File::create(folder.join(&mark))?;
    // The mark first: a crash in between must not look like a loss.
    File::open(&folder)?.sync_all()?;
    for item in fs::read_dir(&folder)? {
        let item = item?;
        if item.file_name() != mark.as_str() {
            fs::remove_file(item.path())?;
        }
    }
    File::open(&folder)?.sync_all()
}

/// Completes what an earlier run left open, without the torn end.
pub(crate) fn repair(dir: &Path) -> io::Result<()> {
    for workspace in folders(dir)? {
        for day in folders(&workspace)? {
            for item in fs::read_dir(&day)? {
                let path = item?.path();
                if path.extension().is_some_and(|extension| extension == "open") {
                    cut(&path)?;
                }
            }
        }
    }
    Ok(())
}

fn folders(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders = vec![];
    for item in fs::read_dir(dir)? {
        let item = item?;
        if item.file_type()?.is_dir() {
            folders.push(item.path());
        }
    }
    Ok(folders)
}

/// What follows the last sound item is the rest of writes that did not finish, even where a file
/// system has given it a size and no bytes. Damage before a sound item stays, for the verifier to
/// find; so does a gap where something was recorded.
fn cut(path: &Path) -> io::Result<()> {
    let bytes = fs::read(path)?;
    let end = sound_end(&bytes);
    if end == 0 {
        return fs::remove_file(path);
    }
    let file = OpenOptions::new().write(true).open(path)?;
    if end < bytes.len() as u64 {
        file.set_len(end)?;
    }
    file.sync_data()?;
    fs::rename(path, path.with_extension("content"))
}
