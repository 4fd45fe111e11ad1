//! Logs in other encodings, and what is no text.

use std::collections::HashMap;

use ferroban::parts::jail::Decoder;
use ferroban::parts::python::encoding::Encoding;
use serde_json::Value;

use super::{FAILED, common, compare};

#[test]
fn encodings() {
    compare(&[
        &["-e", "utf-16be", "utf-16be.log", FAILED],
        &["-e", "utf-16-be", "-o", "row", "utf-16be.log", FAILED],
        &["-e", "utf-16le", "utf-16le.log", FAILED],
        &["-e", "utf_16_le", "-o", "msg", "utf-16le.log", FAILED],
        &["-e", "UTF-32LE", "utf-32le.log", FAILED],
        &["-e", "utf-8", "utf-16le.log", FAILED],
        &["-e", "utf-8-sig", "signed.log", FAILED],
        &["signed.log", FAILED],
        &["-e", "cp1252", "app.log", FAILED],
        &["-e", "windows-1252", "-o", "row", "app.log", FAILED],
        &["-e", "koi8-r", "app.log", FAILED],
        &["-e", "iso-8859-15", "-o", "row", "app.log", FAILED],
        &["-e", "mac_roman", "app.log", FAILED],
        &["-e", "shift_jis", "app.log", FAILED],
        &["-e", "cp437", "-o", "row", "app.log", FAILED],
        &["-e", "Windows 1251", "-o", "row", "app.log", FAILED],
        &["-e", "latin1", "-o", "row", "app.log", FAILED],
        &["-e", "latin1", "-o", "row", "nul.log", FAILED],
        &["-e", "ascii", "-o", "row", "app.log", FAILED],
        &["-e", "x-sjis", "app.log", FAILED],
        &["-e", "auto", "app.log", FAILED],
        &["nul.log", FAILED],
        &["--print-all-missed", "nul.log", "nothing <ADDR>"],
    ]);
}

#[test]
fn logs_that_are_none() {
    compare(&[
        &["directory", FAILED],
        &["nosuch.log", FAILED],
        &["", FAILED],
        &[" ", FAILED],
        &["/dev/null", FAILED],
    ]);
}

/// Encodings of mainframes, which the original knows and we don't.
const REFUSED: [&str; 7] = [
    "cp037", "cp1026", "cp1140", "cp273", "cp424", "cp500", "cp875",
];

/// Encodings that we read by a standard of others, or as ASCII: letters, digits and blanks are the
/// same, and the lines are.
const ROUGH: [&str; 28] = [
    "big5",
    "big5hkscs",
    "cp864",
    "cp932",
    "cp949",
    "cp950",
    "euc_jis_2004",
    "euc_jisx0213",
    "euc_jp",
    "euc_kr",
    "gb18030",
    "gb2312",
    "gbk",
    "hz",
    "iso2022_jp",
    "iso2022_jp_1",
    "iso2022_jp_2",
    "iso2022_jp_2004",
    "iso2022_jp_3",
    "iso2022_jp_ext",
    "iso2022_kr",
    "johab",
    "raw_unicode_escape",
    "shift_jis",
    "shift_jis_2004",
    "shift_jisx0213",
    "unicode_escape",
    "utf_7",
];

#[test]
fn every_encoding_of_python_is_read_as_the_original_reads_it() {
    let output = common::python("1.1.1")
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/drivers/encodings.py"
        ))
        .output()
        .expect("python3 runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let answers: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(answers.len() > 300, "{}", answers.len());
    let bytes = |hex: &Value| -> Vec<u8> {
        let digits = hex.as_str().expect("hex").as_bytes().chunks(2);
        let byte = |pair| u8::from_str_radix(str::from_utf8(pair).expect("ASCII"), 16);
        digits.map(|pair| byte(pair).expect("hex")).collect()
    };
    let mut logs = HashMap::new();
    let mut wrong = Vec::new();
    for answer in &answers {
        let text = |key: &str| answer[key].as_str().expect("text");
        let (name, like) = (text("name"), text("like"));
        if like.is_empty() {
            assert!(
                Encoding::named(name).is_none(),
                "{name}: unknown to the original"
            );
            continue;
        }
        if !answer["log"].is_null() {
            let log = bytes(&answer["log"]);
            let lines = answer["lines"].as_array().expect("lines");
            let bad = answer["bad"].as_array().expect("bad");
            let lines: Vec<&str> = lines.iter().filter_map(Value::as_str).collect();
            logs.insert(
                like,
                (log, lines, bad.iter().map(bytes).collect::<Vec<_>>()),
            );
        }
        let (log, lines, bad) = logs.get(like).expect("before its aliases");
        if Encoding::named(name).is_none() {
            assert!(REFUSED.contains(&like), "{name}: unknown");
            continue;
        }
        let mut decoder = Decoder::named(name);
        let (mut read, mut replaced) = (Vec::new(), Vec::new());
        // what has no end yet is not read
        let whole = log.iter().rposition(|byte| *byte == b'\n').expect("lines");
        let rest = usize::from(like.ends_with("le")) * log.len();
        decoder.lines(&log[..(whole + 1).max(rest)], |line, bad| {
            read.push(line.into_owned());
            replaced.extend(bad.map(<[u8]>::to_vec));
        });
        let rough = ROUGH.contains(&like);
        let plain = |line: &str| {
            line.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b" .".contains(&b))
        };
        let differ = read.iter().zip(lines).find(|(ours, theirs)| {
            let counts = !rough || plain(ours);
            ours != *theirs && counts
        });
        if read.len() != lines.len() || differ.is_some() || !rough && replaced != *bad {
            let counts = [read.len(), lines.len(), replaced.len(), bad.len()];
            wrong.push(format!("{name}: {counts:?}, {differ:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
