//! Configurations come from files: each process has a folder for the one it tries.

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use mail_endpoint_exporter::config::Problem;

/// A file of this process with this text.
pub(super) fn file(name: &str, text: &[u8]) -> PathBuf {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let folder = std::env::temp_dir().join(format!("mail_endpoint_exporter-fuzz-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for the file to try");
        folder
    });
    let path = FOLDER.join(name);
    fs::write(&path, text).expect("the file to try");
    path
}

/// Whether a configuration may read nothing but itself: a fuzzer must not be let loose on the file system.
pub(super) fn stays_at_home(text: &[u8]) -> bool {
    let has = |word: &[u8]| text.windows(word.len()).any(|part| part == word);
    // Wherever a file can be named, a name cannot lead away; nor can it be written with escapes.
    !has(b"..") && !has(b"\\") && (!has(b"file") || !has(b"/")) && !has(b"_env")
}

/// What is wrong is told in one line, at a place that exists.
pub(super) fn assert_told(problems: &[Problem], text: &[u8]) {
    assert!(!problems.is_empty());
    // YAML's lines also end at CR, and at the last byte of U+0085, U+2028 and U+2029.
    let lines = text.iter().filter(|b| matches!(**b, b'\n' | b'\r' | 0x85 | 0xa8 | 0xa9)).count() + 1;
    for problem in problems {
        assert!(!problem.message.is_empty());
        if let Some(place) = problem.place {
            assert!((1..=lines + 1).contains(&place.line) && place.column >= 1, "{problem}, of {lines} lines");
        }
    }
}
