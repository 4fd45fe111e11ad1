//! What the original has not: several logs, compressed logs, JSON. Held against what ours says
//! without them.

use std::fs;
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::{FAILED, Place, common, text};

fn ours(place: &Place, words: &[&str]) -> Output {
    let output = place.run(common::ours("fail2ban-regex"), words);
    assert_eq!(output.status.code(), Some(0), "{words:?}: {output:?}");
    output
}

#[test]
fn compressed_logs_read_as_what_is_in_them() {
    let place = Place::new();
    for (program, name) in [("gzip", "app.gz"), ("xz", "app.xz"), ("zstd", "odd-name")] {
        let packed = Command::new(program)
            .args(["-c", "app.log"])
            .current_dir(place.dir.path())
            .output()
            .expect("run");
        assert!(packed.status.success(), "{program}");
        fs::write(place.dir.path().join(name), &packed.stdout).expect("write");
        let plain = text(&ours(&place, &["-v", "app.log", FAILED, "bob"]));
        let unpacked = text(&ours(&place, &["-v", name, FAILED, "bob"]));
        assert_eq!(unpacked, plain.replace("app.log", name), "{program}");

        fs::write(
            place.dir.path().join("cut"),
            &packed.stdout[..packed.stdout.len() / 2],
        )
        .expect("write");
        let cut = place.run(common::ours("fail2ban-regex"), &["cut", FAILED]);
        assert_ne!(cut.status.code(), Some(0), "{program}");
    }
}

#[test]
fn several_logs_are_one_run() {
    let place = Place::new();
    let ids = |words: &[&str]| {
        text(&ours(&place, words))
            .lines()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let both = ids(&["-o", "id", "--also", "many.log", "app.log", FAILED]);
    let one = ids(&["-o", "id", "app.log", FAILED]);
    let other = ids(&["-o", "id", "many.log", FAILED]);
    assert_eq!(both, [one, other].concat());
    let missing = place.run(
        common::ours("fail2ban-regex"),
        &["--also", "nosuch.log", "app.log", FAILED],
    );
    assert_eq!(missing.status.code(), Some(255));
}

#[test]
fn the_report_as_json() {
    let place = Place::new();
    let read = |words: &[&str]| -> Value {
        let text = text(&ours(&place, words));
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    };
    let report = read(&["--json", "app.log", FAILED, "bob"]);
    assert_eq!(
        report["lines"],
        json!({ "tested": 8, "matched": 5, "ignored": 1, "missed": 2 })
    );
    assert_eq!(report["failregex"], json!([{ "regex": FAILED, "hits": 5 }]));
    assert_eq!(
        report["ignoreregex"],
        json!([{ "regex": "bob", "hits": 1 }])
    );
    assert_eq!(report["missed"].as_array().map(Vec::len), Some(2));
    assert_eq!(report["matched"], Value::Null);
    // a list that is too long for the report is too long here
    assert_eq!(read(&["--json", "many.log", FAILED])["missed"], Value::Null);
    let all = read(&["--json", "--print-all-missed", "many.log", FAILED]);
    assert_eq!(all["missed"].as_array().map(Vec::len), Some(30));

    let failures = text(&ours(&place, &["--json", "-o", "x", "app.log", FAILED]));
    let first: Value =
        serde_json::from_str(failures.lines().next().expect("a line")).expect("JSON");
    assert_eq!(
        first,
        json!({
            "id": "192.0.2.1",
            "time": 1_795_165_200.0,
            "fields": { "user": "bob", "ip4": "192.0.2.1" },
            "lines": ["2026-11-20 10:00:00 srv app[1]: login failed for bob from 192.0.2.1"],
        })
    );
    let wrong = place.run(common::ours("fail2ban-regex"), &["--json", "x", "(<HOST>"]);
    assert_eq!(wrong.status.code(), Some(255));
    let error: Value = serde_json::from_slice(&wrong.stdout).expect("JSON");
    assert!(
        error["error"]
            .as_str()
            .is_some_and(|e| e.contains("missing )")),
        "{error}"
    );
}

#[test]
fn wide_characters_after_an_empty_line() {
    let place = Place::new();
    let log = "2026-11-20 10:00:00 login failed for a from 192.0.2.1\n\n\
               2026-11-20 10:00:01 login failed for b from 192.0.2.2\n";
    for (name, big) in [("little", false), ("big", true)] {
        let units = std::iter::once(0xfeff).chain(log.encode_utf16());
        let bytes: Vec<u8> = units
            .flat_map(|unit| match big {
                true => unit.to_be_bytes(),
                false => unit.to_le_bytes(),
            })
            .collect();
        fs::write(place.dir.path().join(name), bytes).expect("write");
        let ids = text(&ours(&place, &["-e", "utf-16", "-o", "id", name, FAILED]));
        assert_eq!(ids, "192.0.2.1\n192.0.2.2", "{name}");
    }
}
