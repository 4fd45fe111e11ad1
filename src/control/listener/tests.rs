use std::io::{Read, Write};
use std::os::unix::net::UnixStream as Client;
use std::path::PathBuf;

use super::*;
use crate::control::wire::{self, FrameBuffer};
use crate::control::{CommandError, pickle};

/// Echoes, fails on `fail`, sleeps on `sleep`.
async fn handler(words: Vec<Value>) -> Reply {
    match words.first().and_then(Value::as_str) {
        Some("fail") => Err(CommandError::new("no")),
        Some("sleep") => {
            tokio::time::sleep(Duration::from_millis(300)).await;
            Ok("slept".into())
        }
        _ => Ok(Value::List(words)),
    }
}

struct TestServer {
    path: PathBuf,
    _dir: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    task: Option<tokio::task::JoinHandle<io::Result<()>>>,
}

fn server() -> TestServer {
    server_with(Duration::from_secs(2))
}

/// `request`: how long a request may take.
fn server_with(request: Duration) -> TestServer {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sock");
    let listener = UnixListener::bind(&path).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let limits = ListenerLimits {
        connections: 30,
        reserved: 2,
        waiting: 5,
        long: 2,
        rest: Duration::from_millis(200),
        request,
    };
    let task = runtime.spawn(serve_within(limits, listener, handler, async {
        let _ = stopped.await;
    }));
    TestServer {
        path,
        _dir: dir,
        runtime,
        stop: Some(stop),
        task: Some(task),
    }
}

fn request(words: &[&str]) -> Vec<u8> {
    let words: Vec<Value> = words.iter().map(|word| Value::from(*word)).collect();
    wire::frame(pickle::encode(&Value::List(words)))
}

fn receive(client: &mut Client) -> Vec<u8> {
    let mut frames = FrameBuffer::default();
    let mut block = [0; 1000];
    loop {
        let length = client.read(&mut block).unwrap();
        assert!(length > 0, "connection closed");
        frames.push(&block[..length]);
        if let Some(message) = frames.next_message().unwrap() {
            return message.to_vec();
        }
    }
}

fn ask(client: &mut Client, words: &[&str]) -> Reply {
    client.write_all(&request(words)).unwrap();
    pickle::decode_reply(&receive(client)).unwrap()
}

fn closed(client: &mut Client) -> bool {
    matches!(client.read(&mut [0; 10]), Ok(0) | Err(_))
}

#[test]
fn answers_many_clients_and_many_requests() {
    let server = server();
    let mut clients: Vec<_> = (0..20)
        .map(|_| Client::connect(&server.path).unwrap())
        .collect();
    for round in ["a", "b"] {
        for client in &mut clients {
            assert_eq!(ask(client, &[round]), Ok(vec![round].into()));
        }
    }
    let both = [request(&["x"]), request(&["y"])].concat();
    clients[0].write_all(&both).unwrap();
    let mut bytes = Vec::new();
    let expected = [request(&["x"]).len(), request(&["y"]).len()];
    while bytes.len() < expected.iter().sum::<usize>() {
        let mut block = [0; 100];
        let length = clients[0].read(&mut block).unwrap();
        bytes.extend_from_slice(&block[..length]);
    }
    assert_eq!(
        ask(&mut clients[1], &["fail"]),
        Err(CommandError::new("no"))
    );
}

#[test]
fn bad_clients_harm_only_themselves() {
    let server = server();
    let mut slow = Client::connect(&server.path).unwrap();
    slow.write_all(&request(&["half"])[..10]).unwrap();
    let mut dead = Client::connect(&server.path).unwrap();
    dead.write_all(&request(&["never read"])).unwrap();
    drop(dead);
    let mut garbage = Client::connect(&server.path).unwrap();
    let noise: Vec<u8> = (0..=255).cycle().take(5000).collect();
    garbage.write_all(&wire::frame(noise)).unwrap();
    let answer = pickle::decode(&receive(&mut garbage)).unwrap();
    assert!(answer.str().starts_with("ERROR: "), "{answer:?}");
    assert_eq!(ask(&mut garbage, &["still"]), Ok(vec!["still"].into()));
    garbage
        .write_all(&wire::frame(wire::CLOSE.to_vec()))
        .unwrap();
    assert!(closed(&mut garbage));
    slow.write_all(&request(&["half"])[10..]).unwrap();
    let late = pickle::decode_reply(&receive(&mut slow)).unwrap();
    assert_eq!(late, Ok(vec!["half"].into()));
}

#[test]
fn last_replies_arrive_and_idle_clients_are_let_go() {
    let mut server = server();
    let mut idle = Client::connect(&server.path).unwrap();
    assert!(ask(&mut idle, &["x"]).is_ok());
    let mut busy = Client::connect(&server.path).unwrap();
    busy.write_all(&request(&["sleep"])).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    server.stop.take().unwrap().send(()).unwrap();
    assert!(closed(&mut idle));
    let last = pickle::decode_reply(&receive(&mut busy)).unwrap();
    assert_eq!(last, Ok("slept".into()));
    let task = server.task.take().unwrap();
    server.runtime.block_on(task).unwrap().unwrap();
    assert!(closed(&mut busy));
}

#[test]
fn clients_that_rest_make_room() {
    let server = server();
    let mut resting: Vec<_> = (0..32)
        .map(|_| Client::connect(&server.path).unwrap())
        .collect();
    for client in &mut resting {
        assert!(ask(client, &["x"]).is_ok());
    }
    let mut new = Client::connect(&server.path).unwrap();
    new.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(ask(&mut new, &["new"]), Ok(vec!["new"].into()));
    assert!(resting.iter_mut().any(closed));
}

#[test]
fn one_write_per_reply() {
    let server = server();
    let mut client = Client::connect(&server.path).unwrap();
    let long = "x".repeat(50_000);
    client.write_all(&request(&[&long])).unwrap();
    let mut block = vec![0; 100_000];
    let length = client.read(&mut block).unwrap();
    assert!(block[..length].ends_with(wire::END));
}

/// Sends a byte of a request now and then, for ever.
fn drip(mut client: Client) {
    std::thread::spawn(move || {
        while client.write_all(b"(").is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
}

#[test]
fn a_request_that_drips_is_cut_and_a_silent_client_is_not() {
    let server = server();
    let mut silent = Client::connect(&server.path).unwrap();
    assert!(ask(&mut silent, &["x"]).is_ok());
    let dripping = Client::connect(&server.path).unwrap();
    let mut end = dripping.try_clone().unwrap();
    end.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    drip(dripping);
    assert!(matches!(end.read(&mut [0; 10]), Ok(0)));
    // longer than a request may take
    assert_eq!(ask(&mut silent, &["y"]), Ok(vec!["y"].into()));
}

#[test]
fn dripping_clients_keep_nobody_out() {
    let server = server();
    let dripping: Vec<_> = (0..32)
        .map(|_| Client::connect(&server.path).unwrap())
        .collect();
    dripping.into_iter().for_each(drip);
    let mut new = Client::connect(&server.path).unwrap();
    new.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    assert_eq!(ask(&mut new, &["new"]), Ok(vec!["new"].into()));
}

#[test]
fn some_places_are_for_the_owner() {
    let places = ConnectionSlots {
        limits: LIMITS,
        long: Arc::new(Semaphore::new(1)),
        general: Arc::new(Semaphore::new(1)),
        reserved: Arc::new(Semaphore::new(1)),
        waiting: Arc::new(Semaphore::new(1)),
        crowded: Notify::new(),
    };
    let taken = |place: &Option<ConnectionSlot>| matches!(place, Some(ConnectionSlot::Taken(_)));
    let first = places.offer(PeerClass::Guest);
    assert!(taken(&first));
    let second = places.offer(PeerClass::Guest);
    assert!(matches!(second, Some(ConnectionSlot::Waiting(_))));
    assert!(places.offer(PeerClass::Guest).is_none());
    let owner = places.offer(PeerClass::Owner);
    assert!(taken(&owner));
    assert!(places.offer(PeerClass::Owner).is_none());
    drop(second);
    assert!(matches!(
        places.offer(PeerClass::Owner),
        Some(ConnectionSlot::Waiting(_))
    ));
    drop(first);
    assert!(taken(&places.offer(PeerClass::Guest)));
}

#[test]
fn few_long_requests_at_once_and_short_ones_meanwhile() {
    let server = server_with(Duration::from_secs(60));
    let half = vec![b'x'; 1 << 20];
    let mut first: Vec<_> = (0..2)
        .map(|_| Client::connect(&server.path).unwrap())
        .collect();
    for client in &mut first {
        client.write_all(&half).unwrap();
    }
    let mut third = Client::connect(&server.path).unwrap();
    third
        .set_write_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    // what is in its way stays in the socket
    let long = request(&[&"y".repeat(1 << 20)]);
    let written = third.write(&long).unwrap();
    assert!(written < long.len(), "{written}");
    assert!(third.write_all(&long[written..]).is_err());
    let mut short = Client::connect(&server.path).unwrap();
    assert_eq!(ask(&mut short, &["a"]), Ok(vec!["a"].into()));
    // one of the first goes, and another long one has its turn
    drop(first.pop());
    let mut fourth = Client::connect(&server.path).unwrap();
    drop(third);
    let text = "z".repeat(1 << 20);
    assert_eq!(ask(&mut fourth, &[&text]), Ok(vec![text.as_str()].into()));
}
