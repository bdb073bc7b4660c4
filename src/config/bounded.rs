//! Reading what an operator names: files of a bounded size. An error is the end of a sentence that begins with the file.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// A regular file: opening a pipe would wait for somebody to write into it.
pub(super) fn regular(path: &Path, most: usize) -> Result<Vec<u8>, String> {
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err("is no regular file".into());
    }
    any(path, most)
}

/// Whatever can be read, be it the pipe that a shell makes.
pub(super) fn any(path: &Path, most: usize) -> Result<Vec<u8>, String> {
    up_to(path, most).map_err(unreadable)?.ok_or_else(|| format!("is larger than {}", size(most)))
}

/// The content; `None` if it is longer. How long it is said to be does not count: a device has no end.
pub(super) fn up_to(path: &Path, most: usize) -> io::Result<Option<Vec<u8>>> {
    let file = File::open(path)?;
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(most);
    // At once, so that what is secret is not left behind in pieces that became too small.
    let mut bytes = Vec::with_capacity(length.min(most).saturating_add(1));
    file.take(most.saturating_add(1) as u64).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= most).then_some(bytes))
}

/// A limit as people write it.
pub(super) fn size(bytes: usize) -> String {
    if bytes < 1 << 20 { format!("{} KiB", bytes >> 10) } else { format!("{} MiB", bytes >> 20) }
}

fn unreadable(error: io::Error) -> String {
    format!("cannot be read: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_end_is_left() {
        let endless = Path::new("/dev/zero");
        assert_eq!(any(endless, 4096).unwrap_err(), "is larger than 4 KiB");
        assert_eq!(any(endless, 1 << 20).unwrap_err(), "is larger than 1 MiB");
        assert_eq!(regular(endless, 4096).unwrap_err(), "is no regular file");
        assert_eq!(regular(Path::new("/"), 4096).unwrap_err(), "is no regular file");
        assert_eq!(any(Path::new("/dev/null"), 0), Ok(Vec::new()));
    }
}
