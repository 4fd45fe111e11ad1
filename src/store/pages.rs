//! Reads the rows of a database file from its pages, without SQLite: as many as a damaged file still holds,
//! whatever happened to its header and to the pages that point to the others.
//!
//! Rows are in leaf pages, and each leaf can be read alone. Freed pages still hold deleted rows; the pages
//! that list them are recognised by their form. A write-ahead log beside the file is read too. (The format:
//! <https://www.sqlite.org/fileformat2.html>.)
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rusqlite::types::Value as Sql;

/// A leaf page of a table.
const LEAF: u8 = 0x0D;
/// Bytes before the first page's own header.
const FILE_HEADER: usize = 100;
/// The sizes a page can have.
const SIZES: std::ops::RangeInclusive<u32> = 9..=16;
/// So much of the file tells the size of its pages.
const SAMPLE: u64 = 16 << 20;
/// Larger rows are no rows of ours.
const LONGEST_ROW: u64 = 16 << 20;
/// Before the frames of a write-ahead log, and before the page in each of them.
const WAL_HEADER: u64 = 32;
const FRAME_HEADER: u64 = 24;

/// A row of whatever table.
#[derive(Debug)]
pub(super) struct PageRecord {
    pub(super) rowid: i64,
    pub(super) values: Vec<Sql>,
}

/// Reads a file and hands over the rows of one page at a time; all of these are of one table.
///
/// # Errors
/// The file cannot be read.
pub(super) fn read(path: &Path, each: impl FnMut(Vec<PageRecord>)) -> io::Result<()> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let wal = Wal::open(path);
    let mut pages = Pages {
        file,
        size: 0,
        count: 0,
        wal: None,
    };
    let mut rows_with = |size: u32| {
        pages.size = 1 << size;
        pages.count = (SAMPLE.min(length) >> size) as u32;
        let mut rows = 0;
        pages.each(&HashSet::new(), |records| rows += records.len());
        rows
    };
    // among equals the smaller size
    let best = SIZES.rev().max_by_key(|size| rows_with(*size));
    let best = best.filter(|size| rows_with(*size) > 0);
    pages.size = match (best, &wal) {
        (Some(size), _) => 1 << size,
        (None, Some(wal)) => wal.page_size,
        (None, None) => return Ok(()),
    };
    pages.count = u32::try_from(length.div_ceil(pages.size as u64)).unwrap_or(u32::MAX);
    if let Some(wal) = wal.filter(|wal| wal.page_size == pages.size) {
        let last = wal.pages.keys().max().copied();
        pages.count = pages.count.max(last.unwrap_or(0));
        pages.wal = Some(wal);
    }
    pages.each(&pages.free(), each);
    Ok(())
}

/// A file as pages, numbered from 1.
struct Pages {
    file: File,
    size: usize,
    count: u32,
    wal: Option<Wal>,
}

impl Pages {
    /// The page, with zeroes where the file ends.
    fn page(&self, number: u32) -> Option<Vec<u8>> {
        if number == 0 || number > self.count {
            return None;
        }
        let mut page = vec![0; self.size];
        let (file, from) = match self.wal.as_ref().and_then(|wal| wal.page(number)) {
            Some(place) => place,
            None => (&self.file, u64::from(number - 1) * self.size as u64),
        };
        let mut filled = 0;
        while filled < page.len() {
            match file.read_at(&mut page[filled..], from + filled as u64) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
        Some(page)
    }

    /// The rows of each leaf page.
    fn each(&self, free: &HashSet<u32>, mut each: impl FnMut(Vec<PageRecord>)) {
        for number in (1..=self.count).filter(|number| !free.contains(number)) {
            let Some(page) = self.page(number) else {
                continue;
            };
            let records = self.records(&page, if number == 1 { FILE_HEADER } else { 0 });
            if !records.is_empty() {
                each(records);
            }
        }
    }

    /// Pages that hold nothing any more. A page that lists them begins with the number of the next
    /// such page and how many it lists; no other page can look like that.
    fn free(&self) -> HashSet<u32> {
        let is_page = |number: u32| (2..=self.count).contains(&number);
        let mut free = HashSet::new();
        for page in (2..=self.count).filter_map(|number| self.page(number)) {
            let word = |at: usize| number(&page, at * 4, 4) as u32;
            let (next, listed) = (word(0), word(1) as usize);
            if (next != 0 && !is_page(next)) || listed > self.size / 4 - 2 {
                continue;
            }
            let list: HashSet<u32> = (2..listed + 2).map(word).collect();
            if list.len() == listed && list.iter().all(|number| is_page(*number)) {
                free.extend(list);
            }
        }
        free
    }

    /// The rows of a page; none when it is no leaf.
    fn records(&self, page: &[u8], start: usize) -> Vec<PageRecord> {
        if page.get(start) != Some(&LEAF) {
            return Vec::new();
        }
        let first = start + 8;
        let cells = (number(page, start + 3, 2) as usize).min((page.len() - first) / 2);
        let end_of_list = first + cells * 2;
        (0..cells)
            .map(|cell| number(page, first + cell * 2, 2) as usize)
            .filter(|at| (end_of_list..page.len()).contains(at))
            .filter_map(|at| self.record(page, at))
            .collect()
    }

    /// The row in the cell at a place of a page.
    fn record(&self, page: &[u8], at: usize) -> Option<PageRecord> {
        let mut rest = &page[at..];
        let length = take_number(&mut rest)?;
        let rowid = take_number(&mut rest)? as i64;
        if length > LONGEST_ROW {
            return None;
        }
        let length = length as usize;
        let most = self.size - 35;
        if length <= most {
            return values(rest.get(..length)?, length).map(|values| PageRecord { rowid, values });
        }
        // the rest of a long row is in pages of its own, chained
        let least = (self.size - 12) * 32 / 255 - 23;
        let here = least + (length - least) % (self.size - 4);
        let here = if here > most { least } else { here };
        let mut payload = rest.get(..here)?.to_vec();
        let mut next = number(rest.get(here..here + 4)?, 0, 4) as u32;
        while payload.len() < length {
            // what is lost of it is evidence, which stands at the end
            let Some(page) = self.page(next) else { break };
            let part = (length - payload.len()).min(self.size - 4);
            payload.extend_from_slice(&page[4..4 + part]);
            next = number(&page, 0, 4) as u32;
        }
        values(&payload, length).map(|values| PageRecord { rowid, values })
    }
}

/// The values of a row of so many bytes, of which the last may be missing.
fn values(payload: &[u8], length: usize) -> Option<Vec<Sql>> {
    let mut types = payload;
    let header = take_number(&mut types)? as usize;
    let taken = payload.len() - types.len();
    let mut types = payload.get(taken..header)?;
    let mut body = header;
    let mut values = Vec::new();
    while !types.is_empty() {
        let kind = take_number(&mut types)?;
        let size = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind as usize,
            5 => 6,
            6 | 7 => 8,
            10 | 11 => return None,
            _ => usize::try_from((kind - 12) / 2).ok()?,
        };
        let end = body.checked_add(size).filter(|end| *end <= length)?;
        values.push(match payload.get(body..end) {
            None => Sql::Null,
            Some(bytes) => value(kind, bytes),
        });
        body = end;
    }
    // a row fills its cell, and noise hardly does
    (body == length && !values.is_empty()).then_some(values)
}

fn value(kind: u64, bytes: &[u8]) -> Sql {
    match kind {
        0 => Sql::Null,
        8 => Sql::Integer(0),
        9 => Sql::Integer(1),
        7 => Sql::Real(f64::from_bits(number(bytes, 0, 8))),
        1..=6 => {
            // the sign is the first bit of the first byte
            let unused = 64 - 8 * bytes.len();
            Sql::Integer(((number(bytes, 0, bytes.len()) << unused) as i64) >> unused)
        }
        _ if kind.is_multiple_of(2) => Sql::Blob(bytes.to_vec()),
        _ => match String::from_utf8(bytes.to_vec()) {
            Ok(text) => Sql::Text(text),
            Err(bytes) => Sql::Blob(bytes.into_bytes()),
        },
    }
}

/// A number of `size` bytes, the highest first; what is beyond the end counts as 0.
fn number(bytes: &[u8], at: usize, size: usize) -> u64 {
    (at..at + size).fold(0, |number, at| {
        number << 8 | u64::from(bytes.get(at).copied().unwrap_or(0))
    })
}

/// Takes a number of variable length off the front.
fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for index in 0..9 {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        if index == 8 {
            return Some(number << 8 | u64::from(byte));
        }
        number = number << 7 | u64::from(byte & 0x7F);
        if byte < 0x80 {
            break;
        }
    }
    Some(number)
}

/// A write-ahead log: newer versions of some pages.
struct Wal {
    file: File,
    page_size: usize,
    /// Where in the log each page is.
    pages: HashMap<u32, u64>,
}

impl Wal {
    /// The log beside a database, if there is a good one.
    fn open(path: &Path) -> Option<Wal> {
        let mut name = path.as_os_str().to_owned();
        name.push("-wal");
        let file = File::open(name).ok()?;
        let mut header = [0; WAL_HEADER as usize];
        file.read_exact_at(&mut header, 0).ok()?;
        let page_size = number(&header, 8, 4) as usize;
        let size = page_size.trailing_zeros();
        if !page_size.is_power_of_two() || !SIZES.contains(&size) {
            return None;
        }
        let (mut pages, mut uncommitted) = (HashMap::new(), HashMap::new());
        let mut at = WAL_HEADER;
        let mut frame = [0; FRAME_HEADER as usize];
        let length = file.metadata().ok()?.len();
        // frames with other salts are left from former rounds
        while at + FRAME_HEADER + page_size as u64 <= length
            && file.read_exact_at(&mut frame, at).is_ok()
            && frame[8..16] == header[16..24]
        {
            uncommitted.insert(number(&frame, 0, 4) as u32, at + FRAME_HEADER);
            if number(&frame, 4, 4) != 0 {
                pages.extend(uncommitted.drain());
            }
            at += FRAME_HEADER + page_size as u64;
        }
        Some(Wal {
            file,
            page_size,
            pages,
        })
    }

    fn page(&self, number: u32) -> Option<(&File, u64)> {
        self.pages.get(&number).map(|at| (&self.file, *at))
    }
}
