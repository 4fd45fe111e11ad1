//! Filters and jails of the original's configuration, and names that lead nowhere.

use super::compare;

/// Each with the options after it on the sample log of that name.
fn on_samples(invocations: &[(&[&str], &str, &str)]) {
    let logs: Vec<String> = invocations
        .iter()
        .map(|(_, log, _)| format!("{{logs}}/{log}"))
        .collect();
    let words: Vec<Vec<&str>> = invocations
        .iter()
        .zip(&logs)
        .map(|((options, _, regex), log)| {
            let mut words = vec!["-c", "{config}"];
            words.extend(*options);
            words.extend([log.as_str(), *regex]);
            words
        })
        .collect();
    let words: Vec<&[&str]> = words.iter().map(Vec::as_slice).collect();
    compare(&words);
}

#[test]
fn sessions_of_sshd() {
    on_samples(&[
        (&[], "sshd", "sshd[mode=ddos]"),
        (&[], "sshd", "sshd[mode=extra]"),
        (&["-v"], "sshd", "sshd[mode=normal]"),
        (&["--no-check-all"], "sshd", "sshd[mode=aggressive]"),
        (&["-o", "msg"], "sshd", "sshd[mode=aggressive]"),
        (&["-o", "<ip> <F-USER> <msg>"], "sshd", "sshd"),
        (&["-i", "-o", "msg"], "sshd", "sshd"),
        (&["-o", "mlfid"], "sshd", "sshd"),
        (&["-o", "<F-MLFID>: <matches>"], "sshd", "sshd"),
        (&["--print-all-matched"], "sshd", "sshd"),
        (&["--print-all-missed"], "sshd", "sshd"),
        (&["--print-all-ignored"], "sshd", "sshd"),
        (&["-l", "warning"], "sshd", "sshd"),
    ]);
}

#[test]
fn other_filters() {
    on_samples(&[
        (&["-D", "--print-all-matched"], "vsftpd", "vsftpd"),
        (&["-vv"], "recidive", "recidive"),
        (&[], "recidive", "recidive[_jailname=x]"),
        (&[], "postfix", "postfix[mode=rbl]"),
        (&[], "postfix", "postfix[mode=ddos]"),
        (&[], "dovecot", "dovecot[mode=aggressive]"),
        (&[], "apache-noscript", "apache-noscript"),
        (&["-o", "row"], "named-refused", "named-refused"),
        (&[], "exim-spam", "exim-spam"),
        (&[], "nginx-limit-req", "nginx-limit-req"),
        (&[], "haproxy-http-auth", "haproxy-http-auth"),
        (&[], "asterisk", "asterisk"),
        (&[], "roundcube-auth", "roundcube-auth"),
        (&[], "mysqld-auth", "mysqld-auth"),
        (&[], "monit", "monit"),
        (&[], "traefik-auth", "traefik-auth"),
    ]);
}

#[test]
fn ways_to_name_a_filter() {
    on_samples(&[
        (&[], "proftpd", "proftpd.conf"),
        (&[], "proftpd", "proftpd.local"),
        (&[], "proftpd", "filter.d/proftpd"),
        (&[], "proftpd", "{config}/filter.d/proftpd"),
        (&[], "sshd", "{config}/filter.d/sshd.conf[mode=aggressive]"),
    ]);
    compare(&[
        &["-c", "{config}", "x", "sshd[nosuchopt=1]"],
        &["-c", "{config}", "x", "sshd[mode=nosuch]"],
        &["-c", "{config}", "x", "sshd[mode=\"a b\"]"],
        &["-c", "{config}", "x", "sshd[x]"],
        &["-c", "{config}", "x", "recidive[]"],
        &["-c", "{config}", "x", "sshd", "ignore me"],
        &["-c", "{config}", "x", "sshd", "("],
        &["-c", "{config}", "x", "sshd", ""],
        &["-c", "{config}", "x", "common"],
        &["-c", "{config}", "x", "apache-common"],
        &["-c", "{config}", "x", "../jail.conf"],
        &["-c", "{config}", "x", "filter.d"],
        &["-c", "{config}", "x", "/etc/passwd"],
        &["-c", "{config}", "x", "{config}/jail.conf"],
        &["-c", "{config}", "x", "nosuch.conf"],
        &["-c", "{config}", "x", "nosuch/filter.conf"],
        &["-c", "{config}", "app.log", "DEFAULT"],
        &["-c", "{config}", "app.log", "INCLUDES"],
        &["-c", "{config}/nosuch", "app.log", "sshd"],
        &["-c", "{config}/jail.conf", "app.log", "sshd"],
        &["-c", "", "app.log", "sshd"],
    ]);
}
