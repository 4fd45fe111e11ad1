//! Logs in other encodings, and what is no text.

use super::{FAILED, compare};

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
