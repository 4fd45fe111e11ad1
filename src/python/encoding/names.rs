//! Names of encodings, and the tables of single-byte encodings.
#![forbid(unsafe_code)]

/// What a name stands for.
#[derive(Clone, Copy, Debug)]
pub enum CodecMeaning {
    /// One byte, one character, as [`CodecTable::read`] takes it.
    Table(&'static str),
    /// An encoding that is no table, under one name for all of its names.
    Other(&'static str),
}

/// Characters for bytes; those below 80 are ASCII.
#[derive(Debug, PartialEq)]
pub struct CodecTable {
    /// Of the bytes 80 to FF.
    characters: Vec<Option<char>>,
}

impl CodecTable {
    /// The character of a byte, where it has one.
    pub fn character(&self, byte: u8) -> Option<char> {
        match byte.checked_sub(0x80) {
            None => Some(char::from(byte)),
            Some(index) => self.characters.get(usize::from(index)).copied().flatten(),
        }
    }

    /// The byte of a character, where it has one.
    pub fn byte(&self, character: char) -> Option<u8> {
        if character.is_ascii() {
            return u8::try_from(character).ok();
        }
        let index = self.characters.iter().position(|c| *c == Some(character))?;
        u8::try_from(index + 0x80).ok()
    }

    /// Reads `A0 A1..A3 -4`.
    pub fn read(text: &str) -> CodecTable {
        let number = |text| u32::from_str_radix(text, 16).unwrap_or_default();
        let mut characters = Vec::with_capacity(0x80);
        for word in text.split_whitespace() {
            if let Some(count) = word.strip_prefix('-') {
                let count = count.parse().unwrap_or(1);
                characters.extend(std::iter::repeat_n(None, count));
            } else {
                let (first, last) = word.split_once("..").unwrap_or((word, word));
                characters.extend((number(first)..=number(last)).map(char::from_u32));
            }
        }
        CodecTable { characters }
    }
}

/// All encodings: their names, parted by blanks, and what these stand for.
fn encodings() -> impl Iterator<Item = (&'static str, CodecMeaning)> {
    let lines = include_str!("names.txt").lines();
    let lines = lines.filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| match line.split_once(" = ") {
        Some((names, other)) => Some((names, CodecMeaning::Other(other))),
        None => {
            let (names, table) = line.split_once(" : ")?;
            Some((names, CodecMeaning::Table(table)))
        }
    })
}

/// What a name stands for, written as Python allows: signs between letters and digits don't matter,
/// nor does case.
pub fn meaning(name: &str) -> Option<CodecMeaning> {
    let mut plain = String::with_capacity(name.len());
    let mut sign = false;
    for c in name.chars() {
        if !c.is_alphanumeric() && c != '.' {
            sign = true;
            continue;
        }
        if std::mem::take(&mut sign) && !plain.is_empty() {
            plain.push('_');
        }
        if c.is_ascii() {
            plain.push(c.to_ascii_lowercase());
        }
    }
    let find = |plain: &str| {
        let is_it = |names: &str| names.split(' ').any(|name| name == plain);
        encodings().find(|(names, _)| is_it(names))
    };
    let found = find(&plain).or_else(|| find(&plain.replace('.', "_")));
    found.map(|(_, meaning)| meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_whole() {
        for (names, meaning) in encodings() {
            if let CodecMeaning::Table(table) = meaning {
                assert_eq!(CodecTable::read(table).characters.len(), 0x80, "{names}");
            }
        }
    }
}
