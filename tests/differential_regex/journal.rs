//! A journal as LOG.

use std::path::Path;

use super::common::journal_file;
use super::compare;

const FAILED: &str = "Failed password for <F-USER>.*</F-USER> from <HOST>";

/// Units and messages of a small journal.
const ENTRIES: &[(&str, &str)] = &[
    (
        "ssh.service",
        "Failed password for bob from 192.0.2.1 port 22 ssh2",
    ),
    ("ssh.service", "noise"),
    (
        "cron.service",
        "Failed password for amy from 192.0.2.2 port 22 ssh2",
    ),
    (
        "ssh.service",
        "Failed password for \u{e4} from 192.0.2.3 port 22 ssh2",
    ),
    ("ssh.service", "#hash line"),
    ("ssh.service", ""),
];

fn write(journal: &Path) {
    let mut entries = String::new();
    for (time, (unit, message)) in (1_795_168_800..).zip(ENTRIES) {
        entries += &format!(
            "__REALTIME_TIMESTAMP={time}000000\n__MONOTONIC_TIMESTAMP={time}\n\
             _BOOT_ID=0123456789abcdef0123456789abcdef\n_HOSTNAME=srv\n\
             SYSLOG_IDENTIFIER=sshd\n_PID=7\n_SYSTEMD_UNIT={unit}\nMESSAGE={message}\n\n"
        );
    }
    journal_file::write(journal, entries.as_bytes());
}

#[test]
fn a_journal_instead_of_a_log() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let file = dir.path().join("a.journal");
    write(&file);
    let log = format!("systemd-journal[journalfiles={}]", file.display());
    let log = log.as_str();
    let ssh = "_SYSTEMD_UNIT=ssh.service";
    compare(&[
        &[log, FAILED],
        &["-v", log, FAILED, "bob"],
        &["-m", ssh, log, FAILED],
        &[
            "-m",
            "_SYSTEMD_UNIT=cron.service + _PID=8",
            "-v",
            log,
            FAILED,
        ],
        &["--journalmatch=_COMM='a b'", log, FAILED],
        &["-o", "row", log, FAILED],
        &["-o", "msg", log, FAILED],
        &["-i", "-o", "msg", log, FAILED],
        &["-o", "<time> <ip> <msg>", log, FAILED],
        &["--print-all-matched", "-e", "latin1", log, FAILED],
        &["-d", "^%Y", log, FAILED],
        &["-L", "2", log, FAILED],
        &["-c", "{config}", log, "sshd"],
        &["-c", "{config}", log, "sshd[mode=aggressive]"],
        &["-c", "{config}", "-v", "-m", ssh, log, "sshd"],
        &["-m", "bad", log, FAILED],
        &["systemd-journal[x=1]", FAILED],
        &["systemd-journal[x", FAILED],
        &["systemd-journal[journalflags=x]", FAILED],
        &["systemd-journal[journalfiles=/nosuch.journal]", FAILED],
    ]);
}
