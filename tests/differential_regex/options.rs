//! Every option in every spelling, alone and together.

use super::{FAILED, PAIR, compare};

#[test]
fn options_that_change_little() {
    compare(&[
        &["-t", "app.log", FAILED],
        &["--log-traceback", "app.log", FAILED],
        &["--full-traceback", "app.log", FAILED],
        &["-m", "_SYSTEMD_UNIT=x", "app.log", FAILED],
        &["--journalmatch", "A=b + C=d", "app.log", FAILED],
        &["--j", "A=b", "app.log", FAILED],
        &["--jo=A=b", "app.log", FAILED],
        &["-l", "CRITICAL", "app.log", FAILED],
        &["-vvv", "app.log", FAILED],
        &["--verbosity", "1", "app.log", FAILED],
        &["--verbosity=2", "app.log", FAILED],
        &["--verb", "app.log", FAILED],
        &["-v", "-v", "app.log", FAILED],
        &["--no-check", "app.log", FAILED],
        &["-rv", "app.log", FAILED],
        &["--usedns", "raw", "-r", "app.log", FAILED],
        &["--usedns", "", "app.log", FAILED],
        &["--usedns", "NO", "app.log", FAILED],
        &["--", "-x", "<HOST>"],
        &["app.log", "--", FAILED],
        &["-i", "app.log", FAILED],
        &["-o", "", "app.log", FAILED],
        &["--out=id", "app.log", FAILED],
        &["-oid", "app.log", FAILED],
    ]);
}

#[test]
fn log_records_are_printed() {
    compare(&[
        &["-l", "warning", "app.log", FAILED],
        &["-l", "error", "app.log", FAILED],
        &["-l", "notice", "app.log", FAILED],
        &["-l", "info", "app.log", FAILED],
        &["-l", "INFO", "-v", "app.log", FAILED],
        &["-l", "30", "app.log", FAILED],
        &["-vv", "-l", "warning", "app.log", FAILED],
        &["-l", "warning", "-o", "id", "app.log", FAILED],
        &["-l", "warning", "x from nosuch.invalid", "from <HOST>"],
        &[
            "--usedns",
            "yes",
            "-o",
            "id",
            "x from localhost",
            "from <ADDR>",
        ],
    ]);
}

#[test]
fn dates_and_zones() {
    compare(&[
        &["-d", "", "app.log", FAILED],
        &["-d", "%Y-%m-%d %H:%M:%S", "-v", "app.log", FAILED],
        &["-d", "%%Y", "app.log", FAILED],
        &["-d", "{^LN-BEG}%Y-%m-%d %H:%M:%S", "app.log", FAILED],
        &["-d", "{UNB}%H:%M", "app.log", FAILED],
        &["-d", "x", "app.log", FAILED],
        &["-d", "^%Y", "-d", "EPOCH", "app.log", FAILED],
        &["-d", "Epoch", "1795165200 x from 192.0.2.1", "from <HOST>"],
        &[
            "-d",
            "LEPOCH",
            "-v",
            "1795165200123 x from 192.0.2.1",
            "from <HOST>",
        ],
        &[
            "-d",
            "TAI64N",
            "-v",
            "@400000004c0b0c0c1a2b3c4d x 192.0.2.1",
            "<HOST>",
        ],
        &["--timezone", "", "app.log", FAILED],
        &["--timezone", "Z", "-v", "app.log", FAILED],
        &["--timezone", "CET", "app.log", FAILED],
        &["--timezone", "UTC+0200", "-v", "app.log", FAILED],
        &["--timezone", "+2", "app.log", FAILED],
        &["--timezone", "+25:00", "app.log", FAILED],
    ]);
}

#[test]
fn lists_and_links() {
    compare(&[
        &["twenty.log", FAILED],
        &["nineteen.log", FAILED],
        &["-L", "1", "nineteen.log", FAILED],
        &["-L", "2", "twenty.log", "<F-ID>noise 1\nnoise 2</F-ID>"],
        &["-L", "1", "--print-all-missed", "many.log", FAILED],
        &["--print-all-ignored", "many.log", FAILED, "192"],
        &[
            "--print-all-matched",
            "--print-no-missed",
            "many.log",
            FAILED,
        ],
        &["--print-all-m", "app.log", FAILED],
        &["-D", "many.log", FAILED],
        &["-D", "--print-all-missed", "twenty.log", FAILED],
        &[
            "-D",
            "--print-all-matched",
            "--print-no-missed",
            "app.log",
            FAILED,
            "bob",
        ],
        &["-L", "3", "app.log", FAILED],
        &["-L", "3", "-v", "sessions.log", FAILED],
        &[
            "--maxlines=2",
            "a\nb from 192.0.2.1",
            "a<SKIPLINES>b from <HOST>",
        ],
        &["--maxlines=x", "a", "<HOST>"],
    ]);
}

#[test]
fn forms() {
    compare(&[
        &["-i", "-o", "ip", "app.log", FAILED],
        &["-i", "-o", "<msg>", "app.log", FAILED],
        &["-i", "-o", "user", "app.log", FAILED],
        &["--invert", "-o", "<time> <fid>", "app.log", FAILED, "bob"],
        &["-o", "F-USER", "app.log", FAILED],
        &["-o", "ip4", "app.log", FAILED],
        &["-o", "ip6", "app.log", FAILED],
        &["-o", "dns", "app.log", FAILED],
        &["-o", "time", "app.log", FAILED],
        &["-o", "family", "app.log", FAILED],
        &["-o", "fid", "x 192.0.2.1", "<F-ID>x</F-ID> <ADDR>"],
        &["-o", "ip", "x 192.0.2.1", "<F-ID>x</F-ID> <ADDR>"],
        &[
            "-o",
            "<fid> <ip> <F-ID>",
            "x 192.0.2.1",
            "<F-ID>x</F-ID> <ADDR>",
        ],
        &[
            "-o",
            "<br><sp>a<sp><ip> < ip> <<ip>><br>",
            "x 192.0.2.1",
            "<ADDR>",
        ],
        &["-o", "<ip>\\n<msg>", "x 192.0.2.1", "<ADDR>"],
        &["-o", "<F-X>|<F-Y>", "x 192.0.2.1", "<F-X>x</F-X> <ADDR>"],
        &[
            "-L",
            "2",
            "-o",
            "<msg>|<ip>",
            "a\nb from 192.0.2.1",
            "a<SKIPLINES>.*b from <HOST>",
        ],
        &["-o", "<msg><br>--", "-L", "4", "sessions.log", PAIR],
        &["-r", "-o", "row", "x from host.example", "from <HOST>"],
        &[
            "--usedns",
            "raw",
            "-o",
            "id",
            "x from host.example",
            "from <HOST>",
        ],
        &[
            "--usedns",
            "no",
            "-o",
            "id",
            "x from host.example",
            "from <HOST>",
        ],
    ]);
}
