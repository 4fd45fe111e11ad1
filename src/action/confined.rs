//! What `sandbox = strict` denies to a command: programs that need set-id bits or files of their own, and files
//! that are not the server's.
//!
//! In: the plan of a command. Out: what of it cannot work. Only what is certain is reported: an unknown program
//! may do without.
#![forbid(unsafe_code)]

use super::plan::{Plan, Work};
use crate::exec::outline::ScriptOutline;

/// They hand mail to the mail system of the machine, which keeps it in files of its own.
pub(super) const MAILERS: [&str; 8] = [
    "sendmail",
    "mail",
    "mailx",
    "bsd-mailx",
    "s-nail",
    "mutt",
    "exim",
    "exim4",
];

/// They get the rights of another user.
pub(super) const SET_ID: [&str; 4] = ["sudo", "su", "doas", "pkexec"];

/// Where the server has nothing of its own.
const FOREIGN: [&str; 5] = ["/etc/", "/proc/net/", "/proc/sys/", "/sys/", "/usr/"];

/// What of a command cannot work, as what it does: "runs sudo, …".
pub fn hindrance(plan: &Plan) -> Option<String> {
    match &plan.work {
        Work::Nothing | Work::Notice(_) | Work::Change(_) => return None,
        Work::Mail(mail) => return mail.program().map(of_program)?,
        Work::Program(_) | Work::Shell(_) => {}
    }
    let outline = ScriptOutline::of(plan.script.shape().0);
    let programs = outline.commands.iter().filter_map(|words| words.first());
    programs
        .filter_map(|program| of_program(program))
        .chain(outline.written.iter().filter_map(|path| of_file(path)))
        .next()
}

fn of_program(path: &str) -> Option<String> {
    let name = path.rsplit('/').next().unwrap_or(path);
    if MAILERS.contains(&name) {
        return Some(format!(
            "hands mail to {path}, which keeps it in files of its own (it can go by SMTP instead)"
        ));
    }
    SET_ID
        .contains(&name)
        .then(|| format!("runs {path}, which needs the rights of its set-id bits"))
}

fn of_file(path: &str) -> Option<String> {
    FOREIGN
        .iter()
        .any(|place| path.starts_with(place))
        .then(|| format!("writes {path}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::script::Script;

    #[test]
    fn what_needs_more_than_a_strict_sandbox_leaves() {
        for (text, found) in [
            (
                "printf %b \"a\\n\" | /usr/sbin/sendmail -f \"x\" \"y\"",
                "hands mail to /usr/sbin/sendmail",
            ),
            ("printf %b \"a\" | mail -s y z", "hands mail to mail"),
            (
                "if true; then LC_ALL=C mail -s x y </dev/null; fi",
                "hands mail to mail",
            ),
            ("echo a | sudo -u b c", "runs sudo"),
            ("x=$(su b -c d)", "runs su"),
            (
                "echo 'ALL: 192.0.2.1' >> /etc/hosts.deny",
                "writes /etc/hosts.deny",
            ),
            (
                "echo +192.0.2.1 >/proc/net/xt_recent/f2b; true",
                "writes /proc/net/xt_recent/f2b",
            ),
        ] {
            let hindrance = hindrance(&Plan::of(Script::plain(text)));
            assert!(
                hindrance.is_some_and(|why| why.starts_with(found)),
                "{text}"
            );
        }
    }

    #[test]
    fn what_works_in_a_strict_sandbox() {
        for text in [
            "",
            "iptables -w -N f2b-x >/dev/null 2>&1 || { nft add table inet f2b; }",
            "nft add chain inet f2b c \\{ type filter hook input priority 0 \\; \\}",
            "printf %b \"Subject: x\\n\\nsudo; mail > /etc/x\" | smtp://localhost -f \"x\" \"y\"",
            "for mail in a b; do curl -d \"a | sudo b > /etc/c\" http://x/; done",
            "logger 'no; sudo' mail",
            "cat /etc/hosts > /tmp/hosts",
        ] {
            assert_eq!(hindrance(&Plan::of(Script::plain(text))), None, "{text}");
        }
    }
}
