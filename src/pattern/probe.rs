//! [`RegexProbe`]: how far a regex that does not match came in a text, for people who want to know why.
//!
//! In: the source of a regex as configured. Out: the longest beginning of it that still matches,
//! and where in the text that ends. It works on the source, tags and all, so that what it shows is
//! what the reader wrote; the engines know nothing of it and lose no time.

use super::{FailRegex, UseDns};

/// Where a regex gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Bytes of the source that still match; the rest does not.
    pub source: usize,
    /// Byte offset in the text where they stop matching.
    pub text: usize,
    /// Plain characters among those bytes, of the longest alternative of each group: what tells
    /// which of several regexes came furthest.
    pub literals: u32,
}

/// A regex in all the lengths it can be cut to.
#[derive(Debug)]
pub struct RegexProbe {
    source: String,
    usedns: UseDns,
    multiline: bool,
    cuts: Vec<RegexCut>,
    /// Something stands beside the whole: `a|b`.
    alternatives: bool,
}

/// A place where the source can end.
#[derive(Debug)]
struct RegexCut {
    end: usize,
    /// What closes the groups open there.
    closers: String,
    literals: u32,
    regex: Compiled,
}

#[derive(Debug)]
enum Compiled {
    NotYet,
    Never,
    Done(FailRegex),
}

impl RegexProbe {
    /// For a regex that compiles with these settings, see [`FailRegex::new`].
    pub fn new(source: &str, usedns: UseDns, multiline: bool) -> RegexProbe {
        let (cuts, alternatives) = Scan::of(source);
        RegexProbe {
            source: source.to_owned(),
            usedns,
            multiline,
            cuts,
            alternatives,
        }
    }

    /// How far it comes in `text`; `None`: not even its first part matches.
    pub fn furthest(&mut self, text: &str) -> Option<Reach> {
        let all = 0..self.cuts.len();
        if self.alternatives {
            return self.last_within(all, text);
        }
        // Outside of groups a longer beginning only matches where a shorter one does.
        let outer: Vec<usize> = all.filter(|&c| self.cuts[c].closers.is_empty()).collect();
        let (mut known, mut open) = (0, outer.len());
        let mut best = None;
        while known < open {
            let middle = (known + open) / 2;
            match self.try_cut(outer[middle], text) {
                Some(reach) => {
                    best = Some(reach);
                    known = middle + 1;
                }
                None => open = middle,
            }
        }
        // then into the group that stopped it
        let from = match known {
            0 => 0,
            known => outer[known - 1] + 1,
        };
        let to = outer.get(known).copied().unwrap_or(self.cuts.len());
        self.last_within(from..to, text).or(best)
    }

    fn last_within(&mut self, cuts: std::ops::Range<usize>, text: &str) -> Option<Reach> {
        cuts.rev().find_map(|cut| self.try_cut(cut, text))
    }

    fn try_cut(&mut self, cut: usize, text: &str) -> Option<Reach> {
        let cut = self.cuts.get_mut(cut)?;
        if let Compiled::NotYet = cut.regex {
            let source = format!("{}{}", &self.source[..cut.end], cut.closers);
            cut.regex = FailRegex::new(&source, self.usedns, self.multiline)
                .map_or(Compiled::Never, Compiled::Done);
        }
        let Compiled::Done(regex) = &cut.regex else {
            return None;
        };
        let found = regex.regex().search(text).ok().flatten()?;
        let (_, end) = found.group(0)?;
        Some(Reach {
            source: cut.end,
            text: end,
            literals: cut.literals,
        })
    }
}

/// A group that is open while the source is read.
struct OpenGroup {
    closer: String,
    /// Nothing inside can be cut: what it looks at is not consumed, or decides about the rest.
    opaque: bool,
    /// Plain characters of the longest alternative so far, and of this one.
    best: u32,
    present: u32,
}

impl OpenGroup {
    fn new(closer: &str, opaque: bool) -> OpenGroup {
        OpenGroup {
            closer: closer.to_owned(),
            opaque,
            best: 0,
            present: 0,
        }
    }

    fn literals(&self) -> u32 {
        self.best.max(self.present)
    }
}

/// Reads a source and notes where it can be cut.
struct Scan<'a> {
    source: &'a str,
    at: usize,
    /// The whole, then the groups that are open.
    groups: Vec<OpenGroup>,
    cuts: Vec<RegexCut>,
    alternatives: bool,
}

impl<'a> Scan<'a> {
    fn of(source: &'a str) -> (Vec<RegexCut>, bool) {
        let mut scan = Scan {
            source,
            at: 0,
            groups: vec![OpenGroup::new("", false)],
            cuts: Vec::new(),
            alternatives: false,
        };
        while scan.at < source.len() {
            scan.step();
        }
        (scan.cuts, scan.alternatives)
    }

    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    fn step(&mut self) {
        let rest = self.rest();
        let until = |end: char| rest.find(end).map_or(rest.len(), |at| at + 1);
        let first = rest.chars().next().map_or(1, char::len_utf8);
        match rest.as_bytes()[0] {
            b'|' => {
                self.at += 1;
                self.alternatives |= self.groups.len() == 1;
                if let Some(group) = self.groups.last_mut() {
                    group.best = group.literals();
                    group.present = 0;
                }
            }
            b'(' if rest.starts_with("(?#") || is_flags(rest) => self.at += until(')'),
            b'(' if rest.starts_with("(?P=") => self.atom(until(')'), 0),
            b'(' => {
                let named = rest.starts_with("(?P<");
                let behind = rest.starts_with("(?<");
                let opaque = behind || ["(?=", "(?!", "(?("].iter().any(|o| rest.starts_with(o));
                self.at += match rest.as_bytes().get(1) {
                    Some(b'?') if named => until('>'),
                    Some(b'?') if rest.starts_with("(?(") => until(')'),
                    Some(b'?') if behind => 4.min(rest.len()),
                    Some(b'?') if opaque || rest.starts_with("(?>") => 3,
                    Some(b'?') => until(':'),
                    _ => 1,
                };
                self.groups.push(OpenGroup::new(")", opaque));
            }
            b')' => self.close(1),
            b'<' => self.tag(rest),
            b'\\' => {
                let escaped = rest[1..].chars().next().map_or(0, char::len_utf8);
                let plain = rest.as_bytes().get(1).is_some_and(u8::is_ascii_punctuation);
                self.atom(1 + escaped, u32::from(plain));
            }
            b'[' => self.atom(class_length(rest), 0),
            b'.' | b'^' | b'$' => self.atom(1, 0),
            _ => self.atom(first, 1),
        }
    }

    /// `<HOST>` and its like are one part; `<F-X>` opens a group that `</F-X>` closes.
    fn tag(&mut self, rest: &str) {
        let inside = rest[1..].find('>').map(|end| &rest[1..=end]);
        let word = |text: &str| {
            let text = text.strip_suffix('/').unwrap_or(text);
            !text.is_empty()
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        };
        match inside {
            Some(name) if name.starts_with("F-") && !name.ends_with('/') && word(name) => {
                self.at += name.len() + 2;
                self.groups
                    .push(OpenGroup::new(&format!("</{name}>"), false));
            }
            Some(name) if name.starts_with('/') && self.closes(name) => self.close(name.len() + 2),
            Some(name) if word(name) => self.atom(name.len() + 2, 0),
            _ => self.atom(1, 1),
        }
    }

    /// Whether `</name>` closes the group opened last.
    fn closes(&self, name: &str) -> bool {
        let closer = self.groups.last().map(|group| group.closer.as_str());
        closer.is_some_and(|closer| closer[1..].strip_suffix('>') == Some(name))
    }

    fn close(&mut self, length: usize) {
        let mut literals = 0;
        if self.groups.len() > 1
            && let Some(group) = self.groups.pop()
        {
            literals = group.literals();
        }
        self.atom(length, literals);
    }

    /// A part that cannot be cut, with the repeat after it.
    fn atom(&mut self, length: usize, literals: u32) {
        self.at = (self.at + length).min(self.source.len());
        self.at += repeat_length(self.rest());
        if let Some(group) = self.groups.last_mut() {
            group.present += literals;
        }
        if self.groups.iter().any(|group| group.opaque) {
            return;
        }
        let open = self.groups.iter().rev();
        self.cuts.push(RegexCut {
            end: self.at,
            closers: open.map(|group| group.closer.as_str()).collect(),
            literals: self.groups.iter().map(|group| group.present).sum(),
            regex: Compiled::NotYet,
        });
    }
}

/// `(?i)` and its like.
pub(super) fn is_flags(rest: &str) -> bool {
    let Some(rest) = rest.strip_prefix("(?") else {
        return false;
    };
    let flags = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
    flags > 0 && rest.as_bytes().get(flags) == Some(&b')')
}

/// Length of a class that `rest` begins with; all of it where nothing closes the class.
pub fn class_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut at = 1 + usize::from(bytes.get(1) == Some(&b'^'));
    // a bracket at the beginning is one of the characters
    at += usize::from(bytes.get(at) == Some(&b']'));
    while let Some(byte) = bytes.get(at) {
        match byte {
            b']' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    rest.len()
}

/// Length of a repeat that `rest` begins with, or 0.
pub(super) fn repeat_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut length = match bytes.first() {
        Some(b'*' | b'+' | b'?') => 1,
        Some(b'{') => {
            let digits = |b: &u8| b.is_ascii_digit() || *b == b',';
            let inside = bytes[1..].iter().take_while(|b| digits(b)).count();
            match bytes.get(1 + inside) {
                Some(b'}') if inside > 0 => inside + 2,
                _ => return 0,
            }
        }
        _ => return 0,
    };
    length += usize::from(matches!(bytes.get(length), Some(b'?' | b'+')));
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, text: &str, matched: &str, reached: &str) {
        let reach = RegexProbe::new(source, UseDns::Warn, false).furthest(text);
        let (at, to) = reach.map_or((0, 0), |reach| (reach.source, reach.text));
        assert_eq!(
            (&source[..at], &text[..to]),
            (matched, reached),
            "{source} in {text}"
        );
    }

    #[test]
    fn the_longest_beginning_that_matches() {
        check("^abc def$", "abc dxx", "^abc d", "abc d");
        check(
            "^fail for <F-USER>.*</F-USER> from <HOST>$",
            "fail for me of x",
            "^fail for <F-USER>.*</F-USER> ",
            "fail for me of ",
        );
        check(
            "^a <HOST> port",
            "a 192.0.2.1 pork",
            "^a <HOST> por",
            "a 192.0.2.1 por",
        );
        check("^a{2}b+?c", "aabd", "^a{2}b+?", "aab");
        check("^xyz", "abc", "^", "");
        check("xyz", "abc", "", "");
    }

    #[test]
    fn into_the_group_that_stopped_it() {
        check("^a (?:bcd|efg) h", "a efx", "^a (?:bcd|ef", "a ef");
        check("^a (?:bcd|efg) h", "a bcx", "^a (?:bc", "a bc");
        check(
            "^(?:user <F-USER>\\S+</F-USER>|x) ok",
            "user bob no",
            "^(?:user <F-USER>\\S+</F-USER>|x) ",
            "user bob ",
        );
        check(
            "^user <F-USER>b(?:o|a)t</F-USER>",
            "user bod",
            "^user <F-USER>b(?:o|a)",
            "user bo",
        );
        check("ab|acd", "ace", "ab|ac", "ac");
    }

    #[test]
    fn parts_that_stay_whole() {
        check("(?i)^A[]x]b\\.c", "a]b.d", "(?i)^A[]x]b\\.", "a]b.");
        check("^(?P<n>a)(?P=n)(?!c)d", "aae", "^(?P<n>a)(?P=n)(?!c)", "aa");
        check("^(?=ab)a(?<=a)x", "ab", "^(?=ab)a(?<=a)", "a");
    }

    #[test]
    fn literals_tell_who_came_further() {
        let literals = |source: &str, text: &str| {
            let reach = RegexProbe::new(source, UseDns::Warn, false).furthest(text);
            reach.map_or(0, |reach| reach.literals)
        };
        let text = "login failed for me";
        assert!(literals("^login failed of", text) > literals("^.* failing", text));
        assert_eq!(literals("^(?:login|log|l) (?:fa|failed) q", text), 13);
    }
}
