//! Writes files so that they are complete at any moment.

use std::{
    ffi::OsString,
    fs::{self, File, Permissions},
    io::{self, Write},
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

/// Writes a complete file, in place of the old file if there is one.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    write_with(path, |file| file.write_all(content))
}

/// Writes a complete file, in place of the old file if there is one. `fill` writes the content. If `fill` fails, nothing
/// has changed.
pub fn write_with(path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let file = write_temporary(path, fill)?;
    file.persist(path).map_err(|error| error.error)?;
    sync_folder(path)
}

/// Writes a complete file that must not exist yet.
///
/// # Errors
/// Fails with [`io::ErrorKind::AlreadyExists`] if the file exists. The file is not changed then.
pub fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let file = write_temporary(path, |file| file.write_all(content))?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    sync_folder(path)
}

/// Changes a file that other threads and processes may change in the same way. `change` gets the old content, or `None` if
/// there is no file, and returns the new content.
///
/// One caller at a time reads and writes, so no change is lost. The lock is on a second file, `<name>.lock`, which is not
/// removed. The folder is created if it does not exist.
pub fn update(
    path: &Path,
    change: impl FnOnce(Option<Vec<u8>>) -> io::Result<Vec<u8>>,
) -> io::Result<()> {
    fs::create_dir_all(folder_of(path))?;
    let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
    name.push(".lock");
    let lock = File::options().create(true).append(true).open(path.with_file_name(name))?;
    // The lock is released when the file is closed, even if `change` fails or panics.
    lock.lock()?;
    let before = match fs::read(path) {
        Ok(content) => Some(content),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    write(path, &change(before)?)
}

/// Creates a temporary file beside `path` and writes its content to the disk.
fn write_temporary(
    path: &Path,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<NamedTempFile> {
    let mut prefix = OsString::from(".");
    prefix.push(path.file_name().unwrap_or_default());
    prefix.push("-");
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(".unfinished");
    // The same mode as any new file, less the umask. By default a temporary file is readable only by its owner.
    #[cfg(unix)]
    builder.permissions(<Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o666));
    let mut file = builder.tempfile_in(folder_of(path))?;
    fill(file.as_file_mut())?;
    file.as_file().sync_all()?;
    Ok(file)
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// Waits until the new name is on the disk, which it is once its folder is. Some file systems do not support this.
fn sync_folder(path: &Path) -> io::Result<()> {
    match File::open(folder_of(path))?.sync_all() {
        Err(error)
            if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) =>
        {
            Ok(())
        }
        synced => synced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_write_that_fails_leaves_the_file_as_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("run.json");
        write(&path, b"before").expect("written");
        let failed = write_with(&path, |file| {
            file.write_all(b"half")?;
            Err(io::Error::other("the disk is full"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(&path).expect("there"), b"before");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn a_new_file_takes_no_other_files_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.txt");
        write_new(&path, b"first").expect("written");
        let refused = write_new(&path, b"second").expect_err("it is there");
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).expect("there"), b"first");
    }

    #[test]
    fn a_file_may_be_read_by_whoever_may_read_others() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let (plain, whole) = (folder.path().join("plain"), folder.path().join("whole"));
        fs::write(&plain, b"").expect("written");
        write(&whole, b"").expect("written");
        let mode = |path| fs::metadata(path).expect("there").permissions().mode();
        assert_eq!(mode(&plain), mode(&whole));
    }

    #[test]
    fn changes_at_once_are_all_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("cache/list");
        thread::scope(|scope| {
            for thread in 0..8 {
                let path = &path;
                scope.spawn(move || {
                    for entry in 0..20 {
                        let add = |before: Option<Vec<u8>>| {
                            let mut all = before.unwrap_or_default();
                            all.extend(format!("{thread}/{entry}\n").bytes());
                            Ok(all)
                        };
                        update(path, add).expect("written");
                    }
                });
            }
        });
        let text = fs::read_to_string(&path).expect("there");
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines.len(), 160);
    }
}
