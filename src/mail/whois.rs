//! A whois client (RFC 3912), for mails.
//!
//! It starts at IANA and follows referrals to registries that it knows, with limits of time, size and steps.
//! Answers are cached for an hour, so that many bans of one address cause one query. If the configuration names
//! another program than `whois`, that is run instead.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::debug;
use crate::exec::process::{ExitOutcome, Invocation};

/// Time for the whole of one question.
const TIME: Duration = Duration::from_secs(10);

/// Bytes of an answer.
const SIZE: usize = 64 * 1024;

/// Servers asked for one address.
const STEPS: usize = 3;

/// How long an answer is kept, and how many.
const KEPT: (Duration, usize) = (Duration::from_secs(3600), 256);

/// Where every question begins.
const ROOT: &str = "whois.iana.org:43";

/// Registries a referral may lead to: what an answer says is written by others, and must not send
/// this machine anywhere.
const REGISTRIES: [&str; 14] = [
    "whois.arin.net",
    "whois.ripe.net",
    "whois.apnic.net",
    "whois.lacnic.net",
    "whois.afrinic.net",
    "whois.registro.br",
    "whois.nic.br",
    "whois.nic.mx",
    "whois.nic.ad.jp",
    "whois.krnic.net",
    "whois.kisa.or.kr",
    "whois.twnic.net",
    "whois.twnic.net.tw",
    "whois.cnnic.cn",
];

/// Asks, and keeps what was answered. A copy is the same.
#[derive(Clone, Debug, Default)]
pub struct Whois(Arc<Mutex<Answers>>);

/// When each came, and what it says.
type Answers = HashMap<IpAddr, (Instant, Vec<u8>)>;

impl Whois {
    /// What the program and its arguments would print; `None` when there is no answer.
    pub async fn ask(&self, arguments: &[String]) -> Option<Vec<u8>> {
        let [program, query] = arguments else {
            return run(arguments).await;
        };
        if !matches!(program.as_str(), "whois" | "/usr/bin/whois" | "/bin/whois") {
            return run(arguments).await;
        }
        let address: IpAddr = query.split('/').next()?.parse().ok()?;
        if let Some(answer) = self.kept(address) {
            return Some(answer);
        }
        let answer = match timeout(TIME, Client::default().ask(address)).await {
            Ok(answer) => answer?,
            Err(_) => {
                debug!("fail2ban.actions", "whois {address}: no answer in time");
                return None;
            }
        };
        self.keep(address, &answer);
        Some(answer)
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self, address: IpAddr) -> Option<Vec<u8>> {
        let answers = self.answers();
        let (time, answer) = answers.get(&address)?;
        (time.elapsed() < KEPT.0).then(|| answer.clone())
    }

    fn keep(&self, address: IpAddr, answer: &[u8]) {
        let mut answers = self.answers();
        if answers.len() >= KEPT.1 {
            answers.retain(|_, (time, _)| time.elapsed() < KEPT.0);
        }
        if answers.len() >= KEPT.1
            && let Some(oldest) = answers
                .iter()
                .min_by_key(|(_, (time, _))| *time)
                .map(|(a, _)| *a)
        {
            answers.remove(&oldest);
        }
        answers.insert(address, (Instant::now(), answer.to_vec()));
    }
}

async fn run(arguments: &[String]) -> Option<Vec<u8>> {
    let invocation = Invocation {
        output_limit: SIZE,
        ..Invocation::new(arguments, TIME)
    };
    let finished = invocation.run().await.ok()?;
    (finished.ending == ExitOutcome::Code(0)).then_some(finished.stdout)
}

/// Whom to ask first and where referrals may lead.
struct Client<'a> {
    root: &'a str,
    registries: &'a [&'a str],
}

impl Default for Client<'_> {
    fn default() -> Self {
        Client {
            root: ROOT,
            registries: &REGISTRIES,
        }
    }
}

impl Client<'_> {
    /// The answer of the last server that had one.
    async fn ask(&self, address: IpAddr) -> Option<Vec<u8>> {
        let mut server = self.root.to_owned();
        let mut asked = Vec::new();
        let mut best = None;
        while asked.len() < STEPS {
            let answer = match question(&server, address).await {
                Ok(answer) => answer,
                Err(error) => {
                    debug!("fail2ban.actions", "whois {address} at {server}: {error}");
                    break;
                }
            };
            asked.push(server);
            let next = self.referral(&answer);
            best = Some(answer);
            match next {
                Some(next) if !asked.contains(&next) => server = next,
                _ => break,
            }
        }
        best
    }

    /// The server an answer points to, when it is a registry.
    fn referral(&self, answer: &[u8]) -> Option<String> {
        let text = String::from_utf8_lossy(answer);
        text.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            let server = match key.trim().to_ascii_lowercase().as_str() {
                "refer" | "whois" => value.trim(),
                "referralserver" => value.trim().strip_prefix("whois://")?,
                _ => return None,
            };
            let server = server.trim_end_matches('/').to_ascii_lowercase();
            let named = server.contains(':').then(|| server.clone());
            let server = named.unwrap_or_else(|| format!("{server}:43"));
            let host = server.strip_suffix(":43").unwrap_or(&server);
            self.registries.contains(&host).then_some(server)
        })
    }
}

/// Asks one server.
async fn question(server: &str, address: IpAddr) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    // this registry wants to be told that networks are meant and details wished for
    let prefix = if server.starts_with("whois.arin.net") {
        "n + "
    } else {
        ""
    };
    stream
        .write_all(format!("{prefix}{address}\r\n").as_bytes())
        .await?;
    let mut answer = Vec::new();
    stream.take(SIZE as u64).read_to_end(&mut answer).await?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    /// A server that answers every question with this text.
    async fn server(answer: String) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let name = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut question = [0; 100];
                let n = stream.read(&mut question).await.unwrap();
                assert!(question[..n].ends_with(b"192.0.2.1\r\n"));
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        name
    }

    const ADDRESS: &str = "192.0.2.1";

    #[tokio::test]
    async fn referrals_to_registries_are_followed() {
        let registry = server("netname: TEST\n".into()).await;
        let root = server(format!("% IANA\n\nrefer:        {registry}\n")).await;
        let client = Client {
            root: &root,
            registries: &[&registry],
        };
        assert_eq!(
            client.ask(ADDRESS.parse().unwrap()).await.unwrap(),
            b"netname: TEST\n"
        );
        let elsewhere = Client {
            root: &root,
            registries: &[],
        };
        let answer = elsewhere.ask(ADDRESS.parse().unwrap()).await.unwrap();
        assert!(answer.starts_with(b"% IANA"));
    }

    #[tokio::test]
    async fn circles_end_and_answers_are_cut() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let name = listener.local_addr().unwrap().to_string();
        let itself = name.clone();
        let task = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut question = [0; 100];
            let _ = stream.read(&mut question).await;
            let _ = stream
                .write_all(format!("whois: {itself}\n").as_bytes())
                .await;
            let _ = stream.write_all(&vec![b'x'; 2 * SIZE]).await;
        });
        let client = Client {
            root: &name,
            registries: &[&name],
        };
        assert_eq!(
            client.ask(ADDRESS.parse().unwrap()).await.unwrap().len(),
            SIZE
        );
        task.await.unwrap();
    }

    #[tokio::test]
    async fn no_server_is_no_answer() {
        let client = Client {
            root: "127.0.0.1:1",
            registries: &[],
        };
        assert_eq!(client.ask(ADDRESS.parse().unwrap()).await, None);
        // an id that is no address is not sent anywhere
        let words = ["whois".to_owned(), "evil text".to_owned()];
        assert_eq!(Whois::default().ask(&words).await, None);
    }

    #[tokio::test]
    async fn other_programs_are_run() {
        let words = |words: &[&str]| {
            words
                .iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>()
        };
        let whois = Whois::default();
        assert_eq!(
            whois
                .ask(&words(&["/bin/echo", "192.0.2.1"]))
                .await
                .unwrap(),
            b"192.0.2.1\n"
        );
        assert_eq!(whois.ask(&words(&["/bin/false", "192.0.2.1"])).await, None);
        assert_eq!(
            whois.ask(&words(&["/no/such/whois", "192.0.2.1"])).await,
            None
        );
    }

    #[test]
    fn only_registries_are_followed() {
        let client = Client::default();
        let to = |text: &str| client.referral(text.as_bytes());
        assert_eq!(
            to("refer: whois.ripe.net\n").as_deref(),
            Some("whois.ripe.net:43")
        );
        assert_eq!(
            to("x\nReferralServer:  whois://whois.apnic.net\n").as_deref(),
            Some("whois.apnic.net:43")
        );
        for text in [
            "refer: 127.0.0.1",
            "refer: localhost:22",
            "whois: evil.example",
            "ReferralServer: rwhois://x:4321",
        ] {
            assert_eq!(to(text), None, "{text}");
        }
    }
}
