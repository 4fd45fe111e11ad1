//! A text that a regex matches, read off its tree: for people who check whether two regexes go together.

use super::FailRegex;
use python_re::ast::Node;
use python_re::class::CharClass;

/// Characters that stand for a class, the first that it has.
const PREFERRED: &[u8] = b"1a xA:-._/";

impl FailRegex {
    /// A short text that it matches, with what `content` (`F-CONTENT`) is to hold; `None` where none
    /// is found so simply.
    pub fn example(&self, content: Option<&str>) -> Option<String> {
        let mut writer = Writer {
            content: self.groups().content.zip(content),
            text: String::new(),
        };
        writer.write(&self.regex().root())?;
        let found = self.regex().search(&writer.text).ok().flatten();
        found.map(|_| writer.text)
    }
}

struct Writer<'c> {
    /// A group, and what it is to hold.
    content: Option<(usize, &'c str)>,
    text: String,
}

impl Writer<'_> {
    fn write(&mut self, node: &Node) -> Option<()> {
        match node {
            Node::Class(class) => self.text.push(member(class)?),
            Node::Concat(nodes) => nodes.iter().try_for_each(|node| self.write(node))?,
            Node::Alternation(nodes) => self.write(nodes.first()?)?,
            Node::Repeat { node, min, max, .. } => {
                // what may be there without end is most likely there
                let times = (*min).max(u32::from(max.is_none()));
                (0..times.min(64)).try_for_each(|_| self.write(node))?;
            }
            Node::Group { index, node } => match self.content {
                Some((group, text)) if group == *index => self.text.push_str(text),
                _ => self.write(node)?,
            },
            Node::Atomic(node) => self.write(node)?,
            Node::Conditional { yes, .. } => self.write(yes)?,
            Node::Empty | Node::Look { .. } | Node::Assert(_) => {}
            Node::Backref { .. } => return None,
        }
        Some(())
    }
}

fn member(class: &CharClass) -> Option<char> {
    let set = class.ascii();
    let literal = class.as_literal();
    let preferred = || PREFERRED.iter().find(|c| set & (1 << **c) != 0);
    let any = || (b' '..=b'~').find(|c| set & (1 << *c) != 0);
    literal.or_else(|| preferred().copied().or_else(any).map(char::from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::UseDns;

    #[test]
    fn example_is_a_text_that_matches() {
        for (source, content, expected) in [
            (r"^Failed \S+ from <HOST>$", None, "Failed 1 from 1.1.1.1"),
            (r"^a(?: b)? \[\d+\] (?:x|y){2}", None, "a [1] xx"),
            (r"^\w+: <F-CONTENT>.+</F-CONTENT>$", Some("b c"), "1: b c"),
        ] {
            let regex = FailRegex::new(source, UseDns::Warn, false).unwrap();
            assert_eq!(
                regex.example(content).as_deref(),
                Some(expected),
                "{source}"
            );
        }
        let regex = FailRegex::new(r"^(?!1)\d <HOST>$", UseDns::Warn, false).unwrap();
        assert_eq!(regex.example(None), None);
    }
}
