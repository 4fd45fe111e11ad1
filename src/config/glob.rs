//! Expands shell patterns to paths, in the order in which directories list them (fact J4).
#![forbid(unsafe_code)]

use super::files::{Files, join, refused, split};

/// What a pattern led to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GlobMatches {
    /// Paths that are there.
    pub paths: Vec<String>,
    /// Links that lead nowhere.
    pub dangling: Vec<String>,
    /// Names that are not UTF-8, made printable: they cannot be told to the server.
    pub odd: Vec<String>,
    /// What the system does not let look at, with its reason: there may be more.
    pub refused: Vec<String>,
}

impl GlobMatches {
    fn add_refusal(&mut self, files: &dyn Files, path: &str) -> bool {
        let error = files.refusal(path);
        self.refused
            .extend(error.iter().map(|error| refused(path, error)));
        error.is_some()
    }
}

/// Looks up a pattern; one without wildcards is a path.
pub fn find(files: &dyn Files, pattern: &str) -> GlobMatches {
    let mut found = GlobMatches::default();
    if !has_wildcard(pattern) && !pattern.ends_with('/') && files.exists(pattern) {
        found.paths.push(pattern.to_owned());
        return found;
    }
    for path in matches(files, pattern, &mut found) {
        if files.exists(&path) {
            found.paths.push(path);
        } else if !found.add_refusal(files, &path) {
            found.dangling.push(path);
        }
    }
    found
}

/// Whether it may lead to more than one path.
pub fn has_wildcard(pattern: &str) -> bool {
    pattern.contains(['*', '?', '['])
}

fn matches(files: &dyn Files, pattern: &str, found: &mut GlobMatches) -> Vec<String> {
    let (directory, name) = split(pattern);
    if !has_wildcard(pattern) {
        return match present(files, directory, name) {
            true => vec![pattern.to_owned()],
            false => {
                found.add_refusal(files, pattern);
                Vec::new()
            }
        };
    }
    let directories = if directory != pattern && has_wildcard(directory) {
        matches(files, directory, found)
    } else {
        vec![directory.to_owned()]
    };
    let mut paths = Vec::new();
    for directory in directories {
        if !has_wildcard(name) {
            let path = join(&directory, name);
            if present(files, &directory, name) {
                paths.push(path);
            } else {
                found.add_refusal(files, &path);
            }
            continue;
        }
        let (names, not_utf8) = files.names(&directory);
        if names.is_empty() && not_utf8.is_empty() {
            found.add_refusal(files, &directory);
        }
        let odd = not_utf8.iter().map(|name| join(&directory, name));
        found.odd.extend(odd);
        paths.extend(
            names
                .iter()
                .filter(|candidate| !candidate.starts_with('.') || name.starts_with('.'))
                .filter(|candidate| is_match(name, candidate))
                .map(|candidate| join(&directory, candidate)),
        );
    }
    paths
}

fn present(files: &dyn Files, directory: &str, name: &str) -> bool {
    if name.is_empty() {
        files.is_dir(directory)
    } else {
        files.is_present(&join(directory, name))
    }
}

/// Whether a name fits a pattern of `*`, `?`, `[…]` and `[!…]`. Time is bounded by the product
/// of the lengths: only the last `*` is ever taken back.
fn is_match(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        let step = match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
                continue;
            }
            Some('?') => Some(1),
            Some('[') => one_of(&pattern[p..], name[n]),
            Some(c) => (*c == name[n]).then_some(1),
            None => None,
        };
        match (step, star) {
            (Some(length), _) => {
                p += length;
                n += 1;
            }
            (None, Some((at, taken))) => {
                star = Some((at, taken + 1));
                p = at + 1;
                n = taken + 1;
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// `[…]` at the beginning of the pattern: its length when the character is in it. Without a
/// closing bracket it is a bracket.
fn one_of(pattern: &[char], c: char) -> Option<usize> {
    let negated = pattern.get(1) == Some(&'!');
    let first = if negated { 2 } else { 1 };
    // A bracket right at the beginning is one of the set.
    let close = pattern.iter().skip(first + 1).position(|c| *c == ']');
    let Some(close) = close.map(|at| at + first + 1) else {
        return (c == '[').then_some(1);
    };
    let set = &pattern[first..close];
    let mut inside = false;
    let mut at = 0;
    while at < set.len() {
        if at + 2 < set.len() && set[at + 1] == '-' {
            inside |= (set[at]..=set[at + 2]).contains(&c);
            at += 3;
        } else {
            inside |= set[at] == c;
            at += 1;
        }
    }
    (inside != negated).then_some(close + 1)
}

#[cfg(test)]
mod tests {
    use super::super::files::memory::MemoryFiles;
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("*.log", "a.log", true),
            ("*.log", "a.log.1", false),
            ("a*b*c", "aXbXbc", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]a]x", "]x", true),
            ("[a", "[a", true),
            ("[a-]x", "-x", true),
            ("**", "anything", true),
            ("", "", true),
        ] {
            assert_eq!(is_match(pattern, name), expected, "{pattern} {name}");
        }
        assert!(!is_match(&"*a".repeat(60), &"b".repeat(20_000)));
    }

    #[test]
    fn paths() {
        let files = MemoryFiles::new(&[
            ("/v/log/a.log", ""),
            ("/v/log/b.log", ""),
            ("/v/log/.h.log", ""),
            ("/v/w1/x/error", ""),
            ("/v/w2/x/error", ""),
        ]);
        for (pattern, expected) in [
            ("/v/log/*.log", &["/v/log/a.log", "/v/log/b.log"][..]),
            ("/v/log/.*", &["/v/log/.h.log"]),
            ("/v/log/a.log", &["/v/log/a.log"]),
            ("/v/log/c.log", &[]),
            ("/v/w?/x/error", &["/v/w1/x/error", "/v/w2/x/error"]),
            ("/v/*/nothing/*", &[]),
        ] {
            assert_eq!(find(&files, pattern).paths, expected, "{pattern}");
        }
    }
}
