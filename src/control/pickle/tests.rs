//! Golden bytes were written by Python 3.11's `pickle` and, for the Go clients, after the format of
//! og-rek's encoder.

use super::*;

fn text(text: &str) -> Value {
    text.into()
}

/// What the golden requests say.
fn request() -> Value {
    Value::List(vec![
        text("set"),
        text("ok"),
        text("banip"),
        text("1.2.3.4"),
        Value::Int(5),
        Value::Int(-7),
        Value::Int(300),
        Value::Int(70_000),
        Value::Int(1 << 40),
        Value::Int(-(1 << 40)),
        Value::Bool(true),
        Value::None,
        Value::Float(1.5),
        Value::List(vec![text("a"), text("\u{e9}\\\n\u{20ac}\u{1f600}")]),
        Value::Dict(vec![
            (text("k"), Value::List(vec![text("v")])),
            (text("l"), Value::Dict(vec![])),
        ]),
        Value::Tuple(vec![text("t")]),
        Value::Tuple(vec![]),
        Value::Tuple(vec![text("x"), Value::Int(1), Value::Int(2), Value::Int(3)]),
    ])
}

#[rustfmt::skip]
const REQUESTS: [&[u8]; 6] = [
    b"(lp0\nVset\np1\naVok\np2\naVbanip\np3\naV1.2.3.4\np4\naI5\naI-7\naI300\naI70000\naL1099511627776L\naL-1099511627776L\naI01\naNaF1.5\na(lp5\nVa\np6\naV\xe9\\u005c\\u000a\\u20ac\\U0001f600\np7\naa(dp8\nVk\np9\n(lp10\nVv\np11\nasVl\np12\n(dp13\nsa(Vt\np14\ntp15\na(ta(Vx\np16\nI1\nI2\nI3\ntp17\na.",
    b"]q\x00(X\x03\x00\x00\x00setq\x01X\x02\x00\x00\x00okq\x02X\x05\x00\x00\x00banipq\x03X\x07\x00\x00\x001.2.3.4q\x04K\x05J\xf9\xff\xff\xffM,\x01Jp\x11\x01\x00L1099511627776L\nL-1099511627776L\nI01\nNG?\xf8\x00\x00\x00\x00\x00\x00]q\x05(X\x01\x00\x00\x00aq\x06X\x0b\x00\x00\x00\xc3\xa9\\\n\xe2\x82\xac\xf0\x9f\x98\x80q\x07e}q\x08(X\x01\x00\x00\x00kq\x09]q\nX\x01\x00\x00\x00vq\x0baX\x01\x00\x00\x00lq\x0c}q\x0du(X\x01\x00\x00\x00tq\x0etq\x0f)(X\x01\x00\x00\x00xq\x10K\x01K\x02K\x03tq\x11e.",
    b"\x80\x02]q\x00(X\x03\x00\x00\x00setq\x01X\x02\x00\x00\x00okq\x02X\x05\x00\x00\x00banipq\x03X\x07\x00\x00\x001.2.3.4q\x04K\x05J\xf9\xff\xff\xffM,\x01Jp\x11\x01\x00\x8a\x06\x00\x00\x00\x00\x00\x01\x8a\x06\x00\x00\x00\x00\x00\xff\x88NG?\xf8\x00\x00\x00\x00\x00\x00]q\x05(X\x01\x00\x00\x00aq\x06X\x0b\x00\x00\x00\xc3\xa9\\\n\xe2\x82\xac\xf0\x9f\x98\x80q\x07e}q\x08(X\x01\x00\x00\x00kq\x09]q\nX\x01\x00\x00\x00vq\x0baX\x01\x00\x00\x00lq\x0c}q\x0duX\x01\x00\x00\x00tq\x0e\x85q\x0f)(X\x01\x00\x00\x00xq\x10K\x01K\x02K\x03tq\x11e.",
    b"\x80\x03]q\x00(X\x03\x00\x00\x00setq\x01X\x02\x00\x00\x00okq\x02X\x05\x00\x00\x00banipq\x03X\x07\x00\x00\x001.2.3.4q\x04K\x05J\xf9\xff\xff\xffM,\x01Jp\x11\x01\x00\x8a\x06\x00\x00\x00\x00\x00\x01\x8a\x06\x00\x00\x00\x00\x00\xff\x88NG?\xf8\x00\x00\x00\x00\x00\x00]q\x05(X\x01\x00\x00\x00aq\x06X\x0b\x00\x00\x00\xc3\xa9\\\n\xe2\x82\xac\xf0\x9f\x98\x80q\x07e}q\x08(X\x01\x00\x00\x00kq\x09]q\nX\x01\x00\x00\x00vq\x0baX\x01\x00\x00\x00lq\x0c}q\x0duX\x01\x00\x00\x00tq\x0e\x85q\x0f)(X\x01\x00\x00\x00xq\x10K\x01K\x02K\x03tq\x11e.",
    b"\x80\x04\x95\x8b\x00\x00\x00\x00\x00\x00\x00]\x94(\x8c\x03set\x94\x8c\x02ok\x94\x8c\x05banip\x94\x8c\x071.2.3.4\x94K\x05J\xf9\xff\xff\xffM,\x01Jp\x11\x01\x00\x8a\x06\x00\x00\x00\x00\x00\x01\x8a\x06\x00\x00\x00\x00\x00\xff\x88NG?\xf8\x00\x00\x00\x00\x00\x00]\x94(\x8c\x01a\x94\x8c\x0b\xc3\xa9\\\n\xe2\x82\xac\xf0\x9f\x98\x80\x94e}\x94(\x8c\x01k\x94]\x94\x8c\x01v\x94a\x8c\x01l\x94}\x94u\x8c\x01t\x94\x85\x94)(\x8c\x01x\x94K\x01K\x02K\x03t\x94e.",
    b"\x80\x05\x95\x8b\x00\x00\x00\x00\x00\x00\x00]\x94(\x8c\x03set\x94\x8c\x02ok\x94\x8c\x05banip\x94\x8c\x071.2.3.4\x94K\x05J\xf9\xff\xff\xffM,\x01Jp\x11\x01\x00\x8a\x06\x00\x00\x00\x00\x00\x01\x8a\x06\x00\x00\x00\x00\x00\xff\x88NG?\xf8\x00\x00\x00\x00\x00\x00]\x94(\x8c\x01a\x94\x8c\x0b\xc3\xa9\\\n\xe2\x82\xac\xf0\x9f\x98\x80\x94e}\x94(\x8c\x01k\x94]\x94\x8c\x01v\x94a\x8c\x01l\x94}\x94u\x8c\x01t\x94\x85\x94)(\x8c\x01x\x94K\x01K\x02K\x03t\x94e.",
];

/// `(0, [{'ok': [IPAddr('1.2.3.4'), 'x']}])`, addresses being calls of `str`.
#[rustfmt::skip]
const BANNED: [&[u8]; 6] = [
    b"(I0\n(lp0\n(dp1\nVok\np2\n(lp3\nc__builtin__\nunicode\np4\n(V1.2.3.4\np5\ntp6\nRp7\naVx\np8\nasatp9\n.",
    b"(K\x00]q\x00}q\x01X\x02\x00\x00\x00okq\x02]q\x03(c__builtin__\nunicode\nq\x04(X\x07\x00\x00\x001.2.3.4q\x05tq\x06Rq\x07X\x01\x00\x00\x00xq\x08esatq\x09.",
    b"\x80\x02K\x00]q\x00}q\x01X\x02\x00\x00\x00okq\x02]q\x03(c__builtin__\nunicode\nq\x04X\x07\x00\x00\x001.2.3.4q\x05\x85q\x06Rq\x07X\x01\x00\x00\x00xq\x08esa\x86q\x09.",
    b"\x80\x03K\x00]q\x00}q\x01X\x02\x00\x00\x00okq\x02]q\x03(cbuiltins\nstr\nq\x04X\x07\x00\x00\x001.2.3.4q\x05\x85q\x06Rq\x07X\x01\x00\x00\x00xq\x08esa\x86q\x09.",
    b"\x80\x04\x959\x00\x00\x00\x00\x00\x00\x00K\x00]\x94}\x94\x8c\x02ok\x94]\x94(\x8c\x08builtins\x94\x8c\x03str\x94\x93\x94\x8c\x071.2.3.4\x94\x85\x94R\x94\x8c\x01x\x94esa\x86\x94.",
    b"\x80\x05\x959\x00\x00\x00\x00\x00\x00\x00K\x00]\x94}\x94\x8c\x02ok\x94]\x94(\x8c\x08builtins\x94\x8c\x03str\x94\x93\x94\x8c\x071.2.3.4\x94\x85\x94R\x94\x8c\x01x\x94esa\x86\x94.",
];

/// `(1, UnknownJailException('nojail'))`
#[rustfmt::skip]
const UNKNOWN: [&[u8]; 6] = [
    b"(I1\ncfail2ban.exceptions\nUnknownJailException\np0\n(Vnojail\np1\ntp2\nRp3\ntp4\n.",
    b"(K\x01cfail2ban.exceptions\nUnknownJailException\nq\x00(X\x06\x00\x00\x00nojailq\x01tq\x02Rq\x03tq\x04.",
    b"\x80\x02K\x01cfail2ban.exceptions\nUnknownJailException\nq\x00X\x06\x00\x00\x00nojailq\x01\x85q\x02Rq\x03\x86q\x04.",
    b"\x80\x03K\x01cfail2ban.exceptions\nUnknownJailException\nq\x00X\x06\x00\x00\x00nojailq\x01\x85q\x02Rq\x03\x86q\x04.",
    b"\x80\x04\x95A\x00\x00\x00\x00\x00\x00\x00K\x01\x8c\x13fail2ban.exceptions\x94\x8c\x14UnknownJailException\x94\x93\x94\x8c\x06nojail\x94\x85\x94R\x94\x86\x94.",
    b"\x80\x05\x95A\x00\x00\x00\x00\x00\x00\x00K\x01\x8c\x13fail2ban.exceptions\x94\x8c\x14UnknownJailException\x94\x93\x94\x8c\x06nojail\x94\x85\x94R\x94\x86\x94.",
];

/// `(1, FileNotFoundError(2, 'No such file or directory', '/nope'))`, `(1, KeyError('x'))`
#[rustfmt::skip]
const PYTHONS_OWN: [&[u8]; 4] = [
    b"\x80\x02K\x01cexceptions\nOSError\nq\x00K\x02X\x19\x00\x00\x00No such file or directoryq\x01X\x05\x00\x00\x00/nopeq\x02\x87q\x03Rq\x04\x86q\x05.",
    b"\x80\x02K\x01cexceptions\nKeyError\nq\x00X\x01\x00\x00\x00xq\x01\x85q\x02Rq\x03\x86q\x04.",
    b"\x80\x05\x95P\x00\x00\x00\x00\x00\x00\x00K\x01\x8c\x08builtins\x94\x8c\x11FileNotFoundError\x94\x93\x94K\x02\x8c\x19No such file or directory\x94\x8c\x05/nope\x94\x87\x94R\x94\x86\x94.",
    b"\x80\x05\x95%\x00\x00\x00\x00\x00\x00\x00K\x01\x8c\x08builtins\x94\x8c\x08KeyError\x94\x93\x94\x8c\x01x\x94\x85\x94R\x94\x86\x94.",
];

#[test]
fn reads_every_protocol() {
    for (protocol, bytes) in REQUESTS.iter().enumerate() {
        assert_eq!(decode(bytes), Ok(request()), "protocol {protocol}");
    }
}

#[test]
fn reads_replies_of_every_protocol() {
    let ids = Value::List(vec![Value::Ip("1.2.3.4".into()), text("x")]);
    let banned = Value::List(vec![Value::Dict(vec![(text("ok"), ids)])]);
    for (protocol, bytes) in BANNED.iter().enumerate() {
        assert_eq!(decode_reply(bytes), Ok(Ok(banned.clone())), "{protocol}");
        assert!(decode(bytes).is_err(), "a request must not call anything");
    }
    for (protocol, bytes) in UNKNOWN.iter().enumerate() {
        let unknown = CommandError::unknown_jail("nojail");
        assert_eq!(decode_reply(bytes), Ok(Err(unknown)), "{protocol}");
    }
    let missing = std::io::Error::from_raw_os_error(2);
    let missing = CommandError::file(&missing, "/nope");
    let key = CommandError::builtin("KeyError", "x");
    // Python 2 had one class for all failed system calls
    let mut old = missing.clone();
    old.class = ("builtins", "OSError");
    for (bytes, error) in PYTHONS_OWN.iter().zip([old, key.clone(), missing, key]) {
        assert_eq!(decode_reply(bytes), Ok(Err(error)));
    }
}

/// Protocol 2, a list by MARK and LIST, all text as byte strings.
#[test]
fn reads_what_go_clients_write() {
    let long = "9".repeat(300);
    let mut bytes = b"\x80\x02(U\x04pingU\x03100T\x2c\x01\x00\x00".to_vec();
    bytes.extend_from_slice(long.as_bytes());
    bytes.extend_from_slice(b"l.");
    let expected = Value::List(vec![text("ping"), text("100"), text(&long)]);
    assert_eq!(decode(&bytes), Ok(expected));
}

/// Protocol 0 of Python 2: quoted text.
#[test]
fn reads_quoted_text() {
    let expected = Value::List(vec![text("it's"), text("a\\\n\u{e9}")]);
    let bytes = b"(lp0\nS\"it's\"\np1\naS'a\\\\\\n\\xc3\\xa9'\np2\na.";
    assert_eq!(decode(bytes), Ok(expected));
    assert!(decode(b"S'a\\q'\n.").is_err());
    assert!(decode(b"Sa\n.").is_err());
}

#[test]
fn objects_filled_after_they_were_shared() {
    // [s, s] where s is memorized empty and filled later
    let bytes = b"\x80\x04]\x94]\x94\x8c\x01a\x94ah\x01\x86.";
    let inner = Value::List(vec![text("a")]);
    assert!(decode(bytes).is_ok());
    let bytes = b"\x80\x04](]\x94h\x00e\x8c\x01aa.";
    assert_eq!(
        decode(bytes),
        Ok(Value::List(vec![
            Value::List(vec![]),
            Value::List(vec![]),
            text("a")
        ]))
    );
    let bytes = b"(]\x94\x8c\x01aah\x00l.";
    assert_eq!(decode(bytes), Ok(Value::List(vec![inner.clone(), inner])));
}

#[test]
fn writes_what_it_reads() {
    let everything = [
        request(),
        Value::Int(i64::MIN),
        Value::Int(i64::MAX),
        Value::Int(255),
        Value::Int(256),
        Value::Int(-1),
        Value::Int(i64::from(i32::MIN)),
        Value::Float(f64::MIN_POSITIVE),
        text(&"\u{20ac}".repeat(100)),
    ];
    for value in everything {
        assert_eq!(decode(&encode(&value)), Ok(value.clone()));
        let reply = Ok(value);
        assert_eq!(decode_reply(&encode_reply(&reply)), Ok(reply));
    }
    let missing = std::io::Error::from_raw_os_error(2);
    let replies: [Reply; 4] = [
        Ok(Value::List(vec![Value::Ip("::1".into())])),
        Err(CommandError::duplicate_jail("x")),
        Err(CommandError::file(&missing, "/nope")),
        Err(CommandError {
            class: ("builtins", "Exception"),
            args: vec![],
        }),
    ];
    for reply in replies {
        assert_eq!(decode_reply(&encode_reply(&reply)), Ok(reply));
    }
}

/// The whole reply must be readable by clients that know nothing but `builtins.str`.
#[test]
fn addresses_are_calls_of_str() {
    let ids = ["::1", "::2"].map(|id| Value::Ip(id.into()));
    let bytes = encode_reply(&Ok(Value::List(ids.to_vec())));
    let expected: &[&[u8]] = &[
        b"\x80\x04K\x00](\x8c\x08builtins\x8c\x03str\x93\x94\x8c\x03::1\x85R",
        b"h\x00\x8c\x03::2\x85Re\x86.",
    ];
    assert_eq!(bytes, expected.concat());
}

#[test]
fn executes_nothing() {
    let system: [&[u8]; 5] = [
        b"cos\nsystem\n(S'id'\ntR.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R.",
        b"\x80\x02(cos\nsystem\nU\x02ido.",
        b"(S'id'\nios\nsystem\n.",
        b"\x80\x02cbuiltins\neval\nU\x01x\x85\x81.",
    ];
    for bytes in system {
        assert!(matches!(decode(bytes), Err(PickleError::Instruction(_))));
        assert!(decode_reply(bytes).is_err());
    }
    // not even as the exception of a reply
    let bytes = b"\x80\x04K\x01\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R\x86.";
    let Ok(Err(error)) = decode_reply(bytes) else {
        panic!("refused");
    };
    assert_eq!(error.class, ("builtins", "Exception"));
}

#[test]
fn bombs_do_not_explode() {
    // deep by brackets: never recursed into
    let mut deep = vec![b']'; 500_000];
    deep.extend_from_slice(&vec![b'a'; 499_999]);
    deep.push(b'.');
    assert_eq!(decode(&deep), Err(PickleError::Depth));
    for (levels, expected) in [(MAX_DEPTH, true), (MAX_DEPTH + 1, false)] {
        let mut nested = vec![b']'; levels + 1];
        nested.extend_from_slice(&vec![b'a'; levels]);
        nested.push(b'.');
        assert_eq!(decode(&nested).is_ok(), expected, "{levels}");
    }
    // a list that holds itself
    assert_eq!(decode(b"]\x94h\x00a."), Err(PickleError::Depth));
    // each list holds the one before ten times
    let mut laughs = b"]\x94".to_vec();
    for level in 0..20u8 {
        laughs.extend_from_slice(b"](");
        for _ in 0..10 {
            laughs.extend_from_slice(&[b'h', level]);
        }
        laughs.extend_from_slice(b"e\x94");
    }
    laughs.push(b'.');
    assert_eq!(decode(&laughs), Err(PickleError::Size));
    // one long text, many times
    let mut echoes = b"X\x00\x00\x10\x00".to_vec();
    echoes.extend(std::iter::repeat_n(b'x', 1 << 20));
    echoes.extend_from_slice(b"\x940(");
    echoes.extend_from_slice(&b"h\x00".repeat(100));
    echoes.extend_from_slice(b"l.");
    assert_eq!(decode(&echoes), Err(PickleError::Size));
    // more values than anyone sends
    let mut many = vec![b'N'; MAX_VALUES + 1];
    many.push(b'.');
    assert_eq!(decode(&many), Err(PickleError::Size));
    // lengths that lie
    for lie in [
        &b"X\xff\xff\xff\xff"[..],
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x8b\xff\xff\xff\x7f",
        b"\x95\xff",
        b"V",
        b"",
    ] {
        assert_eq!(decode(lie), Err(PickleError::Truncated));
    }
    assert!(decode(b"\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01.").is_err());
    assert_eq!(decode(b"\x80\x06N."), Err(PickleError::Protocol(6)));
}

#[test]
fn mutations_never_panic() {
    let seeds: Vec<&[u8]> = REQUESTS
        .iter()
        .chain(&BANNED)
        .chain(&UNKNOWN)
        .chain(&PYTHONS_OWN)
        .copied()
        .collect();
    let mut random = fastrand::Rng::with_seed(2);
    for round in 0..100_000 {
        let mut bytes = seeds[round % seeds.len()].to_vec();
        for _ in 0..random.usize(1..6) {
            let at = random.usize(..bytes.len());
            match random.u8(..4) {
                0 => bytes[at] = random.u8(..),
                1 => bytes.truncate(at.max(1)),
                2 => bytes.insert(at, random.u8(..)),
                _ => {
                    let from = random.usize(..bytes.len());
                    bytes[at] = bytes[from];
                }
            }
        }
        let request = decode(&bytes);
        if let Ok(value) = &request {
            // compared as text: NaN is not itself
            let again = decode(&encode(value)).unwrap();
            assert_eq!(again.repr(), value.repr());
        }
        let _ = decode_reply(&bytes);
    }
}

#[test]
fn answers_that_are_no_replies() {
    let refused = encode(&text("ERROR: pickle data was truncated"));
    assert_eq!(
        decode_reply(&refused),
        Err(PickleError::NoReply(
            "ERROR: pickle data was truncated".into()
        ))
    );
    let ending = encode(&Value::List(vec![text("SHUTDOWN")]));
    assert!(matches!(
        decode_reply(&ending),
        Err(PickleError::NoReply(_))
    ));
    assert!(decode_reply(&encode(&Value::None)).is_err());
}
