//! Any bytes as a pickle: a request, and the server's answer as the client reads and prints it.

use ferroban::parts::control::pickle::{self, MAX_DEPTH};
use ferroban::parts::control::print::{self, Charset};
use ferroban::parts::control::{Command, Value};

/// Commands whose answers are printed in ways of their own.
const ASKED: [&[&str]; 8] = [
    &["status"],
    &["status", "--all"],
    &["status", "sshd"],
    &["stats"],
    &["get", "sshd", "logpath"],
    &["get", "sshd", "datepattern"],
    &["get", "sshd", "journalmatch"],
    &["get", "sshd", "banip", "--with-time"],
];

pub fn run(data: &[u8]) {
    if let Ok(request) = pickle::decode(data) {
        assert!(depth(&request) <= MAX_DEPTH + 1);
        // what is written is read as the same again
        let written = pickle::encode(&request);
        let again = pickle::decode(&written).expect("our own pickle");
        assert_eq!(pickle::encode(&again), written);
        let _ = request.repr();
        let _ = Command::from_value(&request);
    }
    let Ok(reply) = pickle::decode_reply(data) else {
        return;
    };
    let written = pickle::encode_reply(&reply);
    let again = pickle::decode_reply(&written).expect("our own reply");
    assert_eq!(pickle::encode_reply(&again), written);
    match &reply {
        Ok(value) => {
            for words in ASKED {
                let words: Vec<Value> = words.iter().map(|word| Value::from(*word)).collect();
                for charset in [Charset::Unicode, Charset::Ascii] {
                    print::reply(&words, value, charset);
                }
            }
        }
        Err(error) => drop(print::failure(error)),
    }
}

/// How deep lists nest.
fn depth(value: &Value) -> usize {
    match value {
        Value::List(items) | Value::Tuple(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Dict(pairs) => {
            let pairs = pairs.iter();
            1 + pairs
                .map(|(k, v)| depth(k).max(depth(v)))
                .max()
                .unwrap_or(0)
        }
        _ => 1,
    }
}
