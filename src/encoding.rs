//! Names of encodings: those Python knows, and the one the locale names.
#![forbid(unsafe_code)]

use std::env;

use encoding_rs::Encoding;

/// The name of the locale's encoding; `None` where the environment names none.
pub fn of_locale() -> Option<String> {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .filter_map(|name| env::var(name).ok())
        .find(|value| !value.is_empty())?;
    let (_, codeset) = locale.split_once('.')?;
    codeset.split('@').next().map(str::to_owned)
}

/// The encoding of a name as Python knows it (`latin1`, `utf_8`, `cp1252`).
pub fn named(name: &str) -> Option<&'static Encoding> {
    let name = name.trim().to_ascii_lowercase().replace('_', "-");
    let web = match name.as_str() {
        "utf8" | "utf-8-sig" | "u8" | "utf" | "cp65001" => "utf-8",
        "ascii" | "us-ascii" | "646" | "latin-1" | "8859" | "latin" | "l1" => "latin1",
        "utf-16-le" => "utf-16le",
        "utf-16-be" => "utf-16be",
        "utf-16" | "utf16" | "u16" => "utf-16le",
        "cp874" => "windows-874",
        "cp932" | "shiftjis" | "shift-jis-2004" | "shift-jisx0213" | "mskanji" => "shift_jis",
        "cp936" | "ms936" | "gb2312-80" => "gbk",
        "gb18030-2000" => "gb18030",
        "cp949" | "ms949" | "uhc" | "euckr" => "euc-kr",
        "cp950" | "ms950" | "big5hkscs" => "big5",
        "eucjp" | "ujis" | "euc-jis-2004" | "euc-jisx0213" => "euc-jp",
        "iso2022-jp" | "iso2022jp" => "iso-2022-jp",
        "mac-roman" | "macroman" => "macintosh",
        "mac-cyrillic" | "maccyrillic" => "x-mac-cyrillic",
        "koi8r" => "koi8-r",
        "koi8u" => "koi8-u",
        other => match other.strip_prefix("cp125") {
            Some(digit) => return Encoding::for_label(format!("windows-125{digit}").as_bytes()),
            None => other,
        },
    };
    Encoding::for_label(web.as_bytes())
}
