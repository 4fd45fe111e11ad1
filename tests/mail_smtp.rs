//! A mail command that names a server instead of a program: the message arrives by SMTP, with line
//! ends and dots as the protocol wants them.
#![allow(clippy::unwrap_used)]

mod common;
mod scenario;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use scenario::{action, by_ours, ticket};
use serde_json::json;

/// Takes one mail; answers the lines it was told.
fn server() -> (u16, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = Vec::new();
        let mut in_message = false;
        stream.write_all(b"220 test\r\n").unwrap();
        for line in BufReader::new(stream.try_clone().unwrap()).split(b'\n') {
            let line = String::from_utf8(line.unwrap()).unwrap();
            let line = line
                .strip_suffix('\r')
                .expect("lines end in CR LF")
                .to_owned();
            let answer: &[u8] = match line.as_str() {
                "." if in_message => {
                    in_message = false;
                    b"250 taken\r\n"
                }
                "DATA" => {
                    in_message = true;
                    b"354 go on\r\n"
                }
                _ if in_message => b"",
                "QUIT" => b"221 bye\r\n",
                _ => b"250 ok\r\n",
            };
            let quit = line == "QUIT";
            lines.push(line);
            stream.write_all(answer).unwrap();
            if quit || lines.last().is_some_and(|line| line == "." && !in_message) {
                break;
            }
        }
        lines
    });
    (port, thread)
}

#[test]
fn a_message_arrives_whole() {
    let (port, thread) = server();
    let command = format!(
        "printf %b \"Subject: banned <ip>\nTo: ops@example.org\\n\n<matches>\\n\nend\" | smtp://127.0.0.1:{port} -f \"f2b@example.org\" \"ops@example.org b@example.org\""
    );
    let mut steps = action("a1", &[("actionban", &command)]);
    let mut evil = ticket("192.0.2.1");
    evil["matches"] = json!([".", "MAIL FROM:<x@y>", "\r.\r", "..x"]);
    steps.push(json!({"do": "ban", "ticket": evil}));
    steps.push(json!({"do": "stop", "tickets": []}));
    let ours = by_ours(&steps, 20);
    assert!(
        ours.iter()
            .all(|trace| trace.log.iter().all(|line| !line.contains("ERROR"))),
        "{ours:?}"
    );
    let lines = thread.join().unwrap();
    let said = lines.join("\n");
    assert!(said.contains("MAIL FROM:<f2b@example.org>\nRCPT TO:<ops@example.org>\nRCPT TO:<b@example.org>\nDATA\n"), "{said}");
    let message = said.split_once("DATA\n").unwrap().1;
    assert!(
        message.starts_with(
            "Subject: banned 192.0.2.1\nTo: ops@example.org\n\n..\nMAIL FROM:<x@y>\n .\n...x\n\nend\n."
        ),
        "{message}"
    );
}
