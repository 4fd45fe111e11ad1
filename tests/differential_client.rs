//! Client and server of the original against ours, in all four pairs: the same commands in the same
//! order must print the same and end with the same exit code.

mod common;

use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;

use common::{eventually, original, ours};
use ferroban::parts::python::text::shell_words;
use regex_automata::meta::Regex;

const COMMANDS: &str = include_str!("client_commands.txt");
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Make {
    Original,
    /// The original of Debian 12.
    Older,
    Ours,
}

impl Make {
    /// A program of this make, without surprises from the environment.
    fn program(self, name: &str) -> Command {
        let mut command = match self {
            Make::Original => original("1.1.1", name),
            Make::Older => original("1.0.2", name),
            Make::Ours => ours(name),
        };
        command.env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
        command
    }
}

/// A directory with a small configuration of its own, and a server if one was started.
struct Sandbox {
    dir: tempfile::TempDir,
    server: Option<Child>,
}

impl Sandbox {
    fn new() -> Sandbox {
        let dir = tempfile::tempdir().expect("temporary directory");
        let sandbox = Sandbox { dir, server: None };
        let here = sandbox.path().display();
        for directory in ["filter.d", "action.d", "jail.d"] {
            fs::create_dir(sandbox.path().join(directory)).expect("directory");
        }
        sandbox.write(
            "fail2ban.conf",
            &format!(
                "[Definition]\nloglevel = INFO\nlogtarget = {here}/f2b.log\nsyslogsocket = auto\n\
                 socket = {here}/f2b.sock\npidfile = {here}/f2b.pid\ndbfile = {here}/f2b.sqlite3\n\
                 dbpurgeage = 1d\ndbmaxmatches = 10\n"
            ),
        );
        sandbox.write(
            "filter.d/f1.conf",
            "[Definition]\nfailregex = ^ x from <HOST>\n",
        );
        sandbox.write(
            "action.d/a1.conf",
            "[Definition]\nactionban = true ban <ip>\nactionunban = true unban <ip>\n",
        );
        sandbox.write(
            "jail.conf",
            &format!(
                "[DEFAULT]\nbackend = polling\nbantime = 600\nfindtime = 600\nmaxretry = 2\n\
                 ignoreip = 127.0.0.0/8 ::1\n[ok]\nenabled = true\nfilter = f1\naction = a1\n\
                 logpath = {here}/x.log\n"
            ),
        );
        sandbox.write("x.log", "");
        sandbox.write("y.log", "");
        sandbox
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn socket(&self) -> PathBuf {
        self.path().join("f2b.sock")
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.path().join(name), content).expect("file");
    }

    /// Starts a server in the foreground and waits until its jail is there.
    fn serve(make: Make) -> Sandbox {
        let mut sandbox = Sandbox::new();
        let server = make
            .program("fail2ban-server")
            .arg("-c")
            .arg(sandbox.path())
            .args(["-f", "start"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("server starts");
        sandbox.server = Some(server);
        let ready = || sandbox.run(Make::Ours, "status ok").code == 0;
        assert!(eventually(60, ready), "{make:?} server does not answer");
        sandbox
    }

    /// The arguments of a client in this sandbox.
    fn arguments(&self, line: &str) -> Vec<String> {
        let words = shell_words(line).expect("words");
        let here = self.path().to_str().expect("path");
        let mut arguments = Vec::new();
        if words.first().is_none_or(|word| word != "-c") {
            arguments.extend(["-c".to_owned(), here.to_owned()]);
        }
        arguments.extend(words.iter().map(|word| word.replace("DIR", here)));
        arguments
    }

    /// Runs a client in this sandbox.
    fn run(&self, client: Make, line: &str) -> Outcome {
        let output = client
            .program("fail2ban-client")
            .args(self.arguments(line))
            .stdin(Stdio::null())
            .output()
            .expect("client starts");
        let code = output.status.code().unwrap_or(-1);
        self.outcome(code, &output.stdout, &output.stderr)
    }

    fn outcome(&self, code: i32, out: &[u8], err: &[u8]) -> Outcome {
        let here = self.path().to_str().expect("path");
        Outcome {
            code,
            out: plain(out, here),
            err: plain(err, here),
        }
    }
}

/// A client of the original that need not start Python for every command.
struct WarmClient {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl WarmClient {
    fn new(make: Make) -> WarmClient {
        let cold = make.program("fail2ban-client");
        let mut warm = Command::new(cold.get_program());
        warm.arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/drivers/warm_client.py"
        ));
        let mut child = common::like(&mut warm, &cold)
            .args(cold.get_args())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("driver starts");
        let input = child.stdin.take().expect("pipe");
        let output = BufReader::new(child.stdout.take().expect("pipe"));
        WarmClient {
            child,
            input,
            output,
        }
    }

    fn run(&mut self, sandbox: &Sandbox, line: &str) -> Outcome {
        let request = serde_json::to_string(&sandbox.arguments(line)).expect("text");
        writeln!(self.input, "{request}").expect("request");
        let mut reply = String::new();
        self.output.read_line(&mut reply).expect("reply");
        let (code, out, err): (i32, String, String) =
            serde_json::from_str(&reply).unwrap_or_else(|e| panic!("{line}: {e}: {reply}"));
        let bytes = |text: &str| text.chars().map(|c| c as u8).collect::<Vec<u8>>();
        sandbox.outcome(code, &bytes(&out), &bytes(&err))
    }
}

impl Drop for WarmClient {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            let _ = server.kill();
            let _ = server.wait();
        } else if let Ok(pid) = fs::read_to_string(self.path().join("f2b.pid")) {
            // a daemon that a failed test left behind
            let _ = Command::new("kill").arg(pid.trim()).status();
        }
    }
}

/// What a client did.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    code: i32,
    out: String,
    err: String,
}

/// Output without what must differ: places, times, process ids, the wording of the usage text.
fn plain(output: &[u8], here: &str) -> String {
    let text = String::from_utf8_lossy(output).replace(here, "DIR");
    if text.starts_with("Usage: ") {
        return "USAGE".to_owned();
    }
    let pattern = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:,\d{3})?|\[\d+ *\]: ";
    let varying = Regex::new(pattern).expect("pattern");
    let mut plain = String::new();
    let mut end = 0;
    for found in varying.find_iter(&text) {
        plain.push_str(&text[end..found.start()]);
        plain.push('#');
        end = found.end();
    }
    plain + &text[end..]
}

fn lines() -> impl Iterator<Item = &'static str> {
    COMMANDS
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("# "))
}

/// What each client prints on each server, for every line of the list. Side by side, each with a
/// server of its own.
fn run_all<const N: usize>(pairs: [(Make, Make); N]) -> [Vec<Outcome>; N] {
    let run = |(client, server)| {
        let sandbox = Sandbox::serve(server);
        let mut warm = (client != Make::Ours).then(|| WarmClient::new(client));
        lines()
            .map(|line| match &mut warm {
                Some(warm) => warm.run(&sandbox, line),
                None => sandbox.run(client, line),
            })
            .collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        pairs
            .map(|pair| scope.spawn(move || run(pair)))
            .map(|thread| thread.join().expect("outcomes"))
    })
}

#[test]
fn all_pairs_print_the_same() {
    let pairs = [
        (Make::Original, Make::Original),
        (Make::Ours, Make::Original),
        (Make::Original, Make::Ours),
        (Make::Ours, Make::Ours),
    ];
    let outcomes = run_all(pairs);
    let [expected, others @ ..] = &outcomes;
    assert!(expected.len() > 500, "the list of commands is gone");
    let mut differences = Vec::new();
    for ((client, server), outcomes) in pairs[1..].iter().zip(others) {
        for ((line, expected), outcome) in lines().zip(expected).zip(outcomes) {
            if outcome != expected {
                differences.push(format!(
                    "{line}\n  client {client:?}, server {server:?}\n  expected {expected:?}\n  got      {outcome:?}"
                ));
            }
        }
    }
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}

/// The client of Debian 12 cannot tell our server from the one it came with, as far as that and
/// its successor do the same.
#[test]
fn the_older_client_is_served_as_by_its_own_server() {
    let pairs = [
        (Make::Older, Make::Older),
        (Make::Older, Make::Original),
        (Make::Older, Make::Ours),
    ];
    let [own, newer, ours] = run_all(pairs);
    let mut compared = 0;
    let mut differences = Vec::new();
    for (((line, own), newer), ours) in lines().zip(&own).zip(&newer).zip(&ours) {
        if (own.code, &own.out) != (newer.code, &newer.out) {
            continue;
        }
        compared += 1;
        if (own.code, &own.out) != (ours.code, &ours.out) {
            differences.push(format!("{line}\n  expected {own:?}\n  got      {ours:?}"));
        }
    }
    assert!(
        compared > 400,
        "only {compared} lines are the same in both originals"
    );
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}

/// Starts, stops and what they say when they cannot.
#[test]
fn starts_and_stops_end_the_same() {
    let steps = [
        "status",
        "ping",
        "stop",
        "reload",
        "start",
        "start",
        "ping",
        "restart",
        "status",
        "stop",
        "stop",
        "restart",
        "reload --all",
        "stop",
        "-t start",
        "stop",
        "start extra",
    ];
    let sandboxes = [Sandbox::new(), Sandbox::new()];
    for step in steps {
        let expected = sandboxes[0].run(Make::Original, step);
        let outcome = sandboxes[1].run(Make::Ours, step);
        assert_eq!(outcome, expected, "{step}");
    }
    for sandbox in &sandboxes {
        assert!(!sandbox.socket().exists());
        assert!(!sandbox.path().join("f2b.pid").exists());
    }
}

/// Configurations that cannot be used, wholly or in part.
#[test]
fn wrong_configurations_end_the_same() {
    let filter = "[bad]\nenabled = true\nfilter = nofilter\nlogpath = DIR/x.log\n";
    let no_log = "[bad]\nenabled = true\nfilter = f1\nlogpath = DIR/none.log\n";
    let cases = [
        ("one wrong jail", filter.to_owned()),
        (
            "only wrong jails",
            format!("[ok]\nenabled = false\n{filter}"),
        ),
        // beside others such jails are left out here: differential_exit.rs
        ("no log file", format!("[ok]\nenabled = false\n{no_log}")),
        (
            "interpolation",
            "[ok]\nenabled = false\n[bad]\nenabled = true\nfilter = %(nothing)s\n".to_owned(),
        ),
        ("no jails", "[ok]\nenabled = false\n".to_owned()),
    ];
    for (case, jails) in cases {
        let sandboxes = [Sandbox::new(), Sandbox::new()];
        for sandbox in &sandboxes {
            let here = sandbox.path().to_str().expect("path");
            sandbox.write("jail.local", &jails.replace("DIR", here));
        }
        for step in ["-t", "-d", "-t start", "start", "status", "stop"] {
            let expected = sandboxes[0].run(Make::Original, step);
            let outcome = sandboxes[1].run(Make::Ours, step);
            // our messages go on with file and line where the original leaves them out
            assert_eq!(outcome.code, expected.code, "{case}: {step}");
            assert_eq!(outcome.out, expected.out, "{case}: {step}");
        }
    }
}

/// A bad `fail2ban.conf` is told once by `-t`, whatever else is asked for.
#[test]
fn test_of_a_bad_main_configuration_ends_the_same() {
    let sandboxes = [Sandbox::new(), Sandbox::new()];
    for sandbox in &sandboxes {
        sandbox.write("fail2ban.conf", "[Definition]\nloglevel = FOO\n");
    }
    for step in ["-t", "-d -t", "-i -t", "-t status", "-d"] {
        let expected = sandboxes[0].run(Make::Original, step);
        let outcome = sandboxes[1].run(Make::Ours, step);
        assert_eq!(outcome, expected, "{step}");
    }
}

/// `fail2ban-server` is a client for all commands but `start`; in the foreground it stops on command.
#[test]
fn server_program() {
    let mut sandbox = Sandbox::serve(Make::Ours);
    let ask = |words: &[&str]| {
        let mut command = ours("fail2ban-server");
        command.arg("-c").arg(sandbox.path()).args(words);
        let output = command.output().expect("runs");
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    };
    assert_eq!(
        ask(&["ping"]),
        (Some(0), "Server replied: pong\n".to_owned())
    );
    assert_eq!(ask(&["start"]), (Some(255), String::new()));
    assert_eq!(
        ask(&["stop"]),
        (Some(0), "Shutdown successful\n".to_owned())
    );
    let server = sandbox.server.as_mut().expect("server");
    let status = server.wait().expect("server ends");
    assert_eq!(status.code(), Some(0));
    assert!(!sandbox.socket().exists());
}

/// A killed server's socket is no obstacle (the original wants `-x`).
#[test]
fn starts_over_a_stale_socket() {
    let mut sandbox = Sandbox::serve(Make::Ours);
    let server = sandbox.server.as_mut().expect("server");
    server.kill().expect("kill");
    server.wait().expect("wait");
    assert!(sandbox.socket().exists());
    sandbox.server = None;
    assert_eq!(sandbox.run(Make::Ours, "start").out, "Server ready\n");
    assert_eq!(sandbox.run(Make::Ours, "stop").code, 0);
}

/// What is no socket is nobody's to remove.
#[test]
fn a_file_in_the_sockets_place_stops_the_start() {
    let sandboxes = [Sandbox::new(), Sandbox::new()];
    for sandbox in &sandboxes {
        sandbox.write("f2b.sock", "mine");
    }
    for step in ["ping", "status", "start", "-t start"] {
        let expected = sandboxes[0].run(Make::Original, step);
        assert_eq!(sandboxes[1].run(Make::Ours, step), expected, "{step}");
    }
    assert!(sandboxes[1].socket().is_file());
}

/// Requests as the Go clients write them; replies with nothing but what they understand.
#[test]
fn go_clients_are_understood() {
    let sandbox = Sandbox::serve(Make::Ours);
    let mut stream = UnixStream::connect(sandbox.socket()).expect("socket");
    let end = b"<F2B_END_COMMAND>";
    let mut ask = |request: &[u8]| {
        stream.write_all(request).expect("request");
        stream.write_all(end).expect("request");
        let mut reply = vec![0; 1 << 16];
        // one read is enough: a reply is one write
        let length = stream.read(&mut reply).expect("reply");
        reply.truncate(length);
        let reply = reply.strip_suffix(end).expect("end marker");
        ferroban::parts::control::pickle::decode_reply(reply).expect("pickle")
    };
    let pong = ask(b"\x80\x02(U\x04pingU\x03100l.");
    assert_eq!(pong, Ok("pong".into()));
    let status = ask(b"\x80\x02(U\x06statusl.").expect("status");
    assert_eq!(
        status.repr(),
        "[('Number of jail', 1), ('Jail list', 'ok')]"
    );
    let jail = ask(b"\x80\x02(U\x06statusU\x02okl.").expect("status ok");
    let file = sandbox.path().join("x.log");
    assert_eq!(
        jail.repr(),
        format!(
            "[('Filter', [('Currently failed', 0), ('Total failed', 0), ('File list', ['{}'])]), \
             ('Actions', [('Currently banned', 0), ('Total banned', 0), ('Banned IP list', [])])]",
            file.display()
        )
    );
    let unknown = ask(b"\x80\x02(U\x06statusU\x02nol.").expect_err("no such jail");
    assert_eq!(unknown.repr(), "UnknownJailException('no')");
}

/// Every command with too few and too many words, odd values and what configurations are sent as,
/// as raw pickles: the replies have the same values of the same types.
#[test]
fn raw_requests_get_replies_of_the_same_shape() {
    let shapes = [Make::Original, Make::Ours].map(|make| {
        let sandbox = Sandbox::serve(make);
        // the driver makes replies into objects by the original's classes
        let python = Make::Original.program("fail2ban-client");
        let mut driver = Command::new(python.get_program());
        let driver = common::like(&mut driver, &python)
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/drivers/wire_shapes.py"
            ))
            .arg(sandbox.socket())
            .arg(sandbox.path())
            .output()
            .expect("driver starts");
        let failed = String::from_utf8_lossy(&driver.stderr).into_owned();
        assert!(driver.status.success(), "{make:?}: {failed}");
        String::from_utf8_lossy(&driver.stdout).into_owned()
    });
    let [expected, ours] = &shapes;
    assert!(expected.lines().count() > 900, "the requests are gone");
    let pairs = expected.lines().zip(ours.lines());
    let differences: Vec<String> = pairs
        .filter(|(expected, ours)| expected != ours)
        .map(|(expected, ours)| format!("expected {expected}\n  got    {ours}"))
        .collect();
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
    assert_eq!(expected.lines().count(), ours.lines().count());
}
