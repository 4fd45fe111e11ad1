//! `banip @FILE`: addresses out of a file, for block lists.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;

use crate::config::text;

/// Largest list read, in bytes; a request may not be longer anyway.
const MAX_SIZE: u64 = 8 << 20;

/// Why a list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// It cannot be read.
    #[error("Unable to read the list {}: {reason}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// It is larger than 8 MiB.
    #[error("The list {} is larger than 8 MiB", .0.display())]
    TooLarge(PathBuf),
}

/// Puts the addresses of a file in place of each word `@FILE`. They are parted by blanks, commas and
/// line ends; what follows `#` or `;` in a line is comment.
///
/// # Errors
/// A file that cannot be read, or is too large.
pub fn expand(words: &[String]) -> Result<Vec<String>, ListError> {
    let mut ids = Vec::new();
    // the reason may begin with any letter
    let mut is_value = false;
    for word in words {
        match word.strip_prefix('@').filter(|_| !is_value) {
            Some(path) => addresses(&read(path.into())?, &mut ids),
            None => ids.push(word.clone()),
        }
        is_value = matches!(word.as_str(), "--time" | "--reason");
    }
    Ok(ids)
}

fn read(path: PathBuf) -> Result<String, ListError> {
    let mut bytes = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(MAX_SIZE + 1).read_to_end(&mut bytes));
    match read {
        Ok(size) if size as u64 > MAX_SIZE => Err(ListError::TooLarge(path)),
        Ok(_) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(reason) => Err(ListError::Unreadable { path, reason }),
    }
}

fn addresses(text: &str, ids: &mut Vec<String>) {
    for line in text.lines() {
        let line = line.split(['#', ';']).next().unwrap_or_default();
        ids.extend(text::words(line).map(str::to_owned));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stand_for_their_addresses() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list");
        std::fs::write(
            &path,
            "# drop\n192.0.2.1 192.0.2.2,2001:db8::/32 ; why\n\n192.0.2.3",
        )
        .unwrap();
        let words = |words: &[&str]| {
            words
                .iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>()
        };
        let list = format!("@{}", path.display());
        assert_eq!(
            expand(&words(&["x", &list, "--reason", "@home"])).unwrap(),
            words(&[
                "x",
                "192.0.2.1",
                "192.0.2.2",
                "2001:db8::/32",
                "192.0.2.3",
                "--reason",
                "@home"
            ])
        );
        let error = expand(&words(&["@/nowhere"])).unwrap_err().to_string();
        assert!(
            error.starts_with("Unable to read the list /nowhere: "),
            "{error}"
        );
    }
}
