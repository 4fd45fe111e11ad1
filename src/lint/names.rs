//! Suggests the known name that a mistyped one is meant to be.
#![forbid(unsafe_code)]

/// The name that is most like a mistyped one: at most so many letters differ, in short ones one.
pub fn nearest<'n>(
    name: &str,
    known: impl IntoIterator<Item = &'n str>,
    most: usize,
) -> Option<&'n str> {
    let most = if name.chars().count() < 5 { 1 } else { most };
    known
        .into_iter()
        .filter(|other| *other != name)
        .map(|other| (distance(name, other), other))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, other)| other)
}

/// All names that are as much like a mistyped one as the [`nearest`].
pub fn all_nearest<'n>(
    name: &str,
    known: impl Iterator<Item = &'n str> + Clone,
    most: usize,
) -> Vec<&'n str> {
    let Some(first) = nearest(name, known.clone(), most) else {
        return Vec::new();
    };
    let least = distance(name, first);
    known
        .filter(|other| distance(name, other) == least)
        .collect()
}

/// ` Did you mean 'x'?`, or nothing.
pub fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean '{name}'?"))
}

/// Letters to be changed, added, left out or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > 2 {
        return usize::MAX;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = changed.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistyped_names() {
        let known = ["maxretry", "findtime", "port", "sport"];
        for (name, expected) in [
            ("maxrety", Some("maxretry")),
            ("maxrerty", Some("maxretry")),
            ("find_time", Some("findtime")),
            ("prot", Some("port")),
            ("part", Some("port")),
            ("bantime", None),
            ("xyz", None),
        ] {
            assert_eq!(nearest(name, known, 2), expected, "{name}");
        }
    }
}
