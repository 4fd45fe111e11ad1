//! The engine, Redis or Valkey: its keys and commands. Nothing outside of this file knows one.
//!
//! Of a fleet F and a host H there are
//! `f2b:F:H:log`, a stream that only H writes; `f2b:F:H:live`, a sorted set of H's bans in force, scored by their
//! ends; `f2b:F:H:addresses`, whom the others must not ban; `f2b:F:hosts`, all hosts by their last sign of life; and, written
//! by administrators alone, `f2b:F:admin:log`, `f2b:F:allow` (target → end and comment) and `f2b:F:forgotten`.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, Value, cmd, pipe};

use super::Millis;
use super::connector::{Allowance, Connector};
use super::entry::{EntryError, EntryKind, FleetEntry};
use super::failure::{EngineError, Result};
use super::settings::{ADMIN, FleetSettings};
use crate::address::Address;

/// Hosts that are listened to; more names than that are somebody's mischief.
pub(super) const MOST_HOSTS: usize = 1_000;
/// Addresses of one host.
const MOST_ADDRESSES: usize = 64;
/// Entries of one stream that come at once, and of all streams.
const PAGE: usize = 200;
const PAGES: usize = 20_000;
/// Bans in force that come at once.
const LIVE_PAGE: usize = 10_000;
/// So many of them are as long as an entry at most.
const LIVE_IN_ENTRY: usize = 8;
/// Entries that short answers, and lists which only administrators write, may be as long as.
const SHORT: usize = 8;
const LISTS: usize = 4_096;
/// Entries that a stream keeps at most, whatever their bans' length.
const LONGEST_LOG: usize = 200_000;
/// A ban without end, as a score.
const FOR_EVER: i64 = i64::MAX >> 11;

/// A place in a stream: the engine's time and a number. What comes later is greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamPosition {
    /// When the engine was given the entry.
    pub at: Millis,
    number: u64,
}

impl StreamPosition {
    /// Reads `1795000000000-0`.
    pub fn read(text: &str) -> Option<StreamPosition> {
        let (at, number) = text.split_once('-')?;
        Some(StreamPosition {
            // a host may choose its places, as far as the engine counts: such a one is before all times
            at: Millis(at.parse::<u64>().ok()?.cast_signed()),
            number: number.parse().ok()?,
        })
    }
}

impl std::fmt::Display for StreamPosition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.at.0.cast_unsigned(), self.number)
    }
}

/// An entry as it came.
#[derive(Debug)]
pub struct Received {
    /// Whose stream it stood in; [`ADMIN`] for the administrators'.
    pub host: String,
    /// Where.
    pub place: StreamPosition,
    /// What it says.
    pub entry: std::result::Result<FleetEntry, EntryError>,
}

/// One of a host's bans in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// Its jail there.
    pub jail: String,
    /// Whom.
    pub target: String,
    /// Until when; `None`: never.
    pub until: Option<Millis>,
}

/// Where the engine is, and how it is reached.
#[derive(Debug)]
pub struct Engine {
    fleet: String,
    connector: Connector,
}

/// A connection.
pub struct EngineConnection {
    redis: MultiplexedConnection,
    allowance: Allowance,
    fleet: String,
}

impl Engine {
    /// Reads the settings and the files that they name; connects to nothing.
    ///
    /// # Errors
    /// A URL that is none, a file that cannot be read.
    pub fn new(settings: &FleetSettings) -> Result<Engine> {
        Ok(Engine {
            fleet: settings.fleet.clone(),
            connector: Connector::new(settings)?,
        })
    }

    /// Connects, within `patience`.
    ///
    /// # Errors
    /// Nobody is there, or refuses.
    pub async fn connect(&self, patience: Duration) -> Result<EngineConnection> {
        let (redis, allowance) = self.connector.open(patience).await?;
        Ok(EngineConnection {
            redis,
            allowance,
            fleet: self.fleet.clone(),
        })
    }

    /// Hosts and ports by which it is reached; none by a socket.
    pub fn places(&self) -> Vec<(String, u16)> {
        self.connector.places()
    }
}

impl EngineConnection {
    fn key(&self, name: &str) -> String {
        format!("f2b:{}:{name}", self.fleet)
    }

    fn log(&self, host: &str) -> String {
        self.key(&format!("{host}:log"))
    }

    fn live_key(&self, host: &str) -> String {
        self.key(&format!("{host}:live"))
    }

    /// The answer, which may be as long as so many entries.
    async fn ask(&mut self, command: &Cmd, entries: usize) -> Result<Value> {
        self.allowance.grant(entries);
        let answer = command.query_async(&mut self.redis).await;
        self.heard(answer)
    }

    async fn ask_all(&mut self, commands: &Pipeline, entries: usize) -> Result<Vec<Value>> {
        self.allowance.grant(entries);
        let answers = commands.query_async(&mut self.redis).await;
        self.heard(answers)
    }

    fn heard<T>(&self, answer: redis::RedisResult<T>) -> Result<T> {
        answer.map_err(|error| match self.allowance.is_exceeded() {
            true => EngineError::TooLong,
            false => error.into(),
        })
    }

    /// The engine's clock.
    ///
    /// # Errors
    /// As all of these: the engine is away or refuses.
    pub async fn time(&mut self) -> Result<Millis> {
        let time = self.ask(&cmd("TIME"), SHORT).await?;
        let parts: Vec<i64> = items(&time)?.iter().filter_map(number).collect();
        match parts.as_slice() {
            [seconds, micros] => Ok(Millis(seconds * 1000 + micros / 1000)),
            _ => Err(EngineError::Answer),
        }
    }

    /// Its version, for people.
    ///
    /// # Errors
    /// As [`EngineConnection::time`].
    pub async fn version(&mut self) -> Result<String> {
        let answer = self.ask(cmd("INFO").arg("server"), SHORT).await?;
        let text = text(&answer).unwrap_or_default();
        let value = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        };
        let (name, version) = match value("valkey_version") {
            Some(version) => ("Valkey", Some(version)),
            None => ("Redis", value("redis_version")),
        };
        Ok(format!("{name} {}", version.unwrap_or("of some version")))
    }

    /// A sign of life of this host: it is in the list of hosts, what is over is no longer among its bans
    /// in force, and its stream stays short. How many bans are in force.
    ///
    /// # Errors
    /// As [`EngineConnection::time`].
    pub async fn beat(&mut self, host: &str, now: Millis) -> Result<usize> {
        let live = self.live_key(host);
        let mut commands = pipe();
        commands
            .cmd("ZADD")
            .arg(self.key("hosts"))
            .arg(now.0)
            .arg(host)
            .cmd("ZREMRANGEBYSCORE")
            .arg(&live)
            .arg("-inf")
            .arg(now.0)
            .cmd("XTRIM")
            .arg(self.log(host))
            .arg("MAXLEN")
            .arg("~")
            .arg(LONGEST_LOG)
            .cmd("ZCARD")
            .arg(&live);
        let answers = self.ask_all(&commands, SHORT).await?;
        let count = answers.last().and_then(number);
        usize::try_from(count.ok_or(EngineError::Answer)?).map_err(|_| EngineError::Answer)
    }

    /// Tells the others whom they must not ban.
    ///
    /// # Errors
    /// As [`EngineConnection::time`].
    pub async fn tell_addresses(&mut self, host: &str, own: &HashSet<IpAddr>) -> Result<()> {
        let mut own: Vec<String> = own.iter().map(IpAddr::to_string).collect();
        own.sort_unstable();
        own.truncate(MOST_ADDRESSES);
        let key = self.key(&format!("{host}:addresses"));
        self.ask(cmd("SET").arg(key).arg(own.join(" ")), SHORT)
            .await?;
        Ok(())
    }

    /// The hosts of the fleet by their last sign of life, and those that administrators have forgotten.
    ///
    /// # Errors
    /// As [`EngineConnection::time`].
    pub async fn hosts(&mut self) -> Result<(Vec<(String, Millis)>, HashSet<String>)> {
        let mut commands = pipe();
        commands
            .cmd("ZRANGE")
            .arg(self.key("hosts"))
            .arg(0)
            .arg("+inf")
            .arg("BYSCORE")
            .arg("LIMIT")
            .arg(0)
            .arg(MOST_HOSTS)
            .arg("WITHSCORES")
            .cmd("SMEMBERS")
            .arg(self.key("forgotten"));
        let answers = self.ask_all(&commands, LISTS).await?;
        let [hosts, forgotten] = answers.as_slice() else {
            return Err(EngineError::Answer);
        };
        let forgotten: HashSet<String> = items(forgotten)?.iter().filter_map(text).collect();
        let hosts = scored(hosts)?.into_iter();
        let sound = |(host, _): &(String, i64)| {
            super::entry::is_host(host) && host != ADMIN && !forgotten.contains(host)
        };
        let hosts = hosts.filter(sound);
        let hosts = hosts.map(|(host, score)| (host, Millis(score))).collect();
        Ok((hosts, forgotten))
    }

    /// The addresses that hosts have told.
    ///
    /// # Errors
    /// As [`EngineConnection::time`].
    pub async fn addresses(&mut self, hosts: &[String]) -> Result<HashSet<IpAddr>> {
        if hosts.is_empty() {
            return Ok(HashSet::new());
        }
        let keys: Vec<String> = hosts
            .iter()
            .map(|host| self.key(&format!("{host}:addresses")))
            .collect();
        // those of one host are as long as two
        let room = 2 * hosts.len() + SHORT;
        let answer = self.ask(cmd("MGET").arg(keys), room).await?;
        let texts = items(&answer)?
            .iter()
            .map(|value| text(value).unwrap_or_default());
        let parse = |text: String| -> Vec<IpAddr> {
            let ips = text.split_whitespace().take(MOST_ADDRESSES);
            ips.filter_map(|ip| ip.parse().ok()).collect()
        };
        Ok(texts.flat_map(parse).collect())
    }

    /// Whom administrators allow, until when, and what they say of it.
    ///
    /// # Errors
    /// As [`EngineConnection::time`].
    pub async fn allowed(&mut self) -> Result<Vec<(Address, Option<Millis>, String)>> {
        let answer = self
            .ask(cmd("HGETALL").arg(self.key("allow")), LISTS)
            .await?;
        let texts: Vec<String> = flat(&answer)?
            .into_iter()
            .map(|value| text(value).unwrap_or_default())
            .collect();
        let pairs = texts.chunks_exact(2);
        let allowed = pairs.filter_map(|pair| {
            let target = Address::parse_ip(&pair[0])?;
            let (until, comment) = pair[1].split_once(' ').unwrap_or((&pair[1], ""));
            let until = until.parse::<i64>().ok()?;
            Some((
                target,
                (until >= 0).then_some(Millis(until)),
                comment.to_owned(),
            ))
        });
        Ok(allowed.collect())
    }

    /// Puts entries of this host into its stream, and its bans in force into their set. `keep`: entries since
    /// then are kept.
    ///
    /// # Errors
    /// As [`EngineConnection::time`].
    pub async fn publish(
        &mut self,
        host: &str,
        entries: &[FleetEntry],
        keep: Millis,
    ) -> Result<()> {
        let (log, live) = (self.log(host), self.live_key(host));
        let mut commands = pipe();
        commands.atomic();
        for entry in entries {
            let member = member(&entry.jail, &entry.target);
            match entry.kind {
                EntryKind::Ban => {
                    commands
                        .cmd("ZADD")
                        .arg(&live)
                        .arg(score(entry))
                        .arg(member);
                }
                EntryKind::Unban => {
                    commands.cmd("ZREM").arg(&live).arg(member);
                }
                _ => {}
            }
            commands
                .cmd("XADD")
                .arg(&log)
                .arg("MINID")
                .arg("~")
                .arg(keep.0.max(0))
                .arg("*");
            for (name, value) in entry.fields() {
                commands.arg(name).arg(value);
            }
        }
        self.ask_all(&commands, entries.len() + SHORT).await?;
        Ok(())
    }

    /// Puts bans of this host among those in force without a word in the stream.
    ///
    /// # Errors
    /// As [`EngineConnection::time`].
    pub async fn put_back(&mut self, host: &str, bans: &[FleetEntry]) -> Result<()> {
        let mut command = cmd("ZADD");
        command.arg(self.live_key(host));
        for ban in bans {
            command.arg(score(ban)).arg(member(&ban.jail, &ban.target));
        }
        self.ask(&command, SHORT).await?;
        Ok(())
    }

    /// Takes bans out of those in force without a word in the stream: the administrators have said it.
    ///
    /// # Errors
    /// As [`EngineConnection::time`].
    pub async fn take_back(&mut self, host: &str, bans: &[(String, String)]) -> Result<()> {
        if bans.is_empty() {
            return Ok(());
        }
        let mut command = cmd("ZREM");
        command.arg(self.live_key(host));
        for (jail, target) in bans {
            command.arg(member(jail, target));
        }
        self.ask(&command, SHORT).await?;
        Ok(())
    }

    /// A host's bans in force, at most so many.
    ///
    /// # Errors
    /// As [`EngineConnection::time`].
    pub async fn live(&mut self, host: &str, now: Millis, most: usize) -> Result<Vec<Live>> {
        let (mut live, mut seen) = (Vec::new(), 0);
        while seen < most {
            let page = LIVE_PAGE.min(most - seen);
            let mut command = cmd("ZRANGE");
            command
                .arg(self.live_key(host))
                .arg(format!("({}", now.0))
                .arg("+inf")
                .arg("BYSCORE")
                .arg("LIMIT")
                .arg(seen)
                .arg(page)
                .arg("WITHSCORES");
            let answer = self.ask(&command, page / LIVE_IN_ENTRY + SHORT).await?;
            let count = flat(&answer)?.len() / 2;
            seen += count;
            live.extend(scored(&answer)?.into_iter().filter_map(|(member, score)| {
                let (jail, target) = member.split_once('|')?;
                Some(Live {
                    jail: jail.to_owned(),
                    target: target.to_owned(),
                    until: (score < FOR_EVER).then_some(Millis(score)),
                })
            }));
            if count < page {
                break;
            }
        }
        Ok(live)
    }

    /// The first and the last place of each stream; `None`: there is nothing in it.
    ///
    /// # Errors
    /// As [`EngineConnection::time`].
    pub async fn ends(
        &mut self,
        hosts: &[String],
    ) -> Result<Vec<Option<(StreamPosition, StreamPosition)>>> {
        let mut commands = pipe();
        for host in hosts {
            let log = self.log(host);
            commands
                .cmd("XRANGE")
                .arg(&log)
                .arg("-")
                .arg("+")
                .arg("COUNT")
                .arg(1);
            commands
                .cmd("XREVRANGE")
                .arg(&log)
                .arg("+")
                .arg("-")
                .arg("COUNT")
                .arg(1);
        }
        if hosts.is_empty() {
            return Ok(Vec::new());
        }
        let answers = self.ask_all(&commands, 2 * hosts.len() + SHORT).await?;
        let place = |answer: &Value| -> Option<StreamPosition> {
            let first = items(answer).ok()?.first()?;
            StreamPosition::read(&text(items(first).ok()?.first()?)?)
        };
        let ends = answers
            .chunks_exact(2)
            .map(|pair| place(&pair[0]).zip(place(&pair[1])));
        Ok(ends.collect())
    }

    /// What stands in streams after these places; waits so long for the first.
    ///
    /// # Errors
    /// As [`EngineConnection::time`].
    pub async fn read(
        &mut self,
        after: &BTreeMap<String, StreamPosition>,
        wait: Option<Duration>,
    ) -> Result<Vec<Received>> {
        self.read_page(after, wait, page(after.len())).await
    }

    /// Reads what there is of one of so many hosts: all that is read of it with those of the others.
    ///
    /// # Errors
    /// [`EngineError::TooLong`] where it holds what nobody should have written; else as [`EngineConnection::time`].
    pub async fn probe(&mut self, host: &str, after: StreamPosition, hosts: usize) -> Result<()> {
        let name = [host.to_owned()];
        self.ends(&name).await?;
        self.addresses(&name).await?;
        let after = BTreeMap::from([(host.to_owned(), after)]);
        self.read_page(&after, None, page(hosts)).await?;
        Ok(())
    }

    async fn read_page(
        &mut self,
        after: &BTreeMap<String, StreamPosition>,
        wait: Option<Duration>,
        page: usize,
    ) -> Result<Vec<Received>> {
        let mut command = cmd("XREAD");
        command.arg("COUNT").arg(page);
        if let Some(wait) = wait {
            let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            command.arg("BLOCK").arg(millis);
        }
        command.arg("STREAMS");
        for host in after.keys() {
            command.arg(self.log(host));
        }
        for place in after.values() {
            command.arg(place.to_string());
        }
        let answer = self.ask(&command, page * after.len() + SHORT).await?;
        let prefix = self.key("");
        let mut received = Vec::new();
        for stream in streams(&answer)? {
            let (key, entries) = stream;
            let host = key
                .strip_prefix(&prefix)
                .and_then(|key| key.strip_suffix(":log"));
            let host = host.ok_or(EngineError::Answer)?;
            for entry in items(entries)? {
                let [place, fields] = items(entry)? else {
                    return Err(EngineError::Answer);
                };
                let place = text(place).and_then(|text| StreamPosition::read(&text));
                received.push(Received {
                    host: host.to_owned(),
                    place: place.ok_or(EngineError::Answer)?,
                    entry: entry_of(fields),
                });
            }
        }
        Ok(received)
    }

    /// Writes an administrator's order, and what goes with it.
    ///
    /// # Errors
    /// As [`EngineConnection::time`]; a host's user may not.
    pub async fn order(&mut self, entry: &FleetEntry, comment: &str) -> Result<()> {
        let target = &entry.target;
        let until = entry.until.map_or(-1, |until| until.0);
        let allow = |commands: &mut Pipeline, key: String| {
            let value = format!("{until} {comment}");
            commands.cmd("HSET").arg(key).arg(target).arg(value.trim());
        };
        let mut commands = pipe();
        commands.atomic();
        match entry.kind {
            EntryKind::Renewed => {}
            EntryKind::Unban if entry.until.is_none() => {}
            EntryKind::Ban | EntryKind::Unban | EntryKind::Allow => {
                allow(&mut commands, self.key("allow"))
            }
            EntryKind::Disallow => {
                commands.cmd("HDEL").arg(self.key("allow")).arg(target);
            }
            EntryKind::Forget => {
                let keys = ["log", "live", "addresses"];
                let keys = keys.map(|key| self.key(&format!("{target}:{key}")));
                commands.cmd("SADD").arg(self.key("forgotten")).arg(target);
                commands.cmd("ZREM").arg(self.key("hosts")).arg(target);
                commands.cmd("DEL").arg(&keys);
            }
            EntryKind::Remember => {
                commands.cmd("SREM").arg(self.key("forgotten")).arg(target);
            }
        }
        commands
            .cmd("XADD")
            .arg(self.log(ADMIN))
            .arg("MAXLEN")
            .arg("~")
            .arg(10_000)
            .arg("*");
        for (name, value) in entry.fields() {
            commands.arg(name).arg(value);
        }
        self.ask_all(&commands, SHORT).await?;
        Ok(())
    }

    /// Whether this user could write the stream of another host, which rights should prevent. Nothing is
    /// written.
    ///
    /// # Errors
    /// As [`EngineConnection::time`].
    pub async fn may_write_for(&mut self, host: &str) -> Result<bool> {
        let key = self.log(host);
        // the rights are looked at first; a stream is not made, and an entry with this place is none
        let mut command = cmd("XADD");
        command
            .arg(key)
            .arg("NOMKSTREAM")
            .arg("0-0")
            .arg("v")
            .arg("0");
        match self.ask(&command, SHORT).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_refusal() => Ok(false),
            // it complains of the place: it would have been written
            Err(EngineError::Engine(error)) if error.code() == Some("ERR") => Ok(true),
            Err(error) => Err(error),
        }
    }
}

impl std::fmt::Debug for EngineConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("fleet", &self.fleet)
            .finish_non_exhaustive()
    }
}

/// Entries of each of so many streams that come at once.
fn page(streams: usize) -> usize {
    (PAGES / streams.max(1)).clamp(1, PAGE)
}

/// The end of a ban as a score.
fn score(ban: &FleetEntry) -> i64 {
    ban.until.map_or(FOR_EVER, |until| until.0)
}

fn member(jail: &str, target: &str) -> String {
    format!("{jail}|{target}")
}

/// What every user may: say who they are, and ask what time it is. Not in it is what concerns connections of
/// others, who would be cut off or held up by it.
const RIGHTS_OF_ALL: &str =
    "resetkeys resetchannels -@all +@connection -@admin -@dangerous +time +info +multi +exec";

/// The name and the rights of a host at the engine, as lines of its list of users. Each key of a host takes the
/// commands of its kind alone: one of another kind would end what all others read together with it.
pub fn rights_of_host(fleet: &str, host: &str) -> String {
    let own = |key: &str, rights: &str| format!("(-@all ~f2b:{fleet}:{key} {rights})");
    let own = [
        own(&format!("{host}:log"), "+xadd +xtrim"),
        own(&format!("{host}:live"), "+zadd +zrem +zremrangebyscore"),
        own(&format!("{host}:addresses"), "+set"),
        own("hosts", "+zadd"),
    ];
    format!(
        "user {host} on #PASSWORD-SHA256 {RIGHTS_OF_ALL} %R~f2b:{fleet}:* +xread +xrange +xrevrange +zcard \
         +zrange +smembers +hgetall +mget {}",
        own.join(" ")
    )
}

/// The same for administrators.
pub fn rights_of_admin(fleet: &str) -> String {
    format!(
        "user {ADMIN} on #PASSWORD-SHA256 {RIGHTS_OF_ALL} ~f2b:{fleet}:* +@stream +@sortedset +@hash +@set +mget \
         +del"
    )
}

fn entry_of(fields: &Value) -> std::result::Result<FleetEntry, EntryError> {
    let values = flat(fields).map_err(|_| EntryError::Malformed)?;
    let bytes: Option<Vec<&[u8]>> = values.into_iter().map(bytes).collect();
    let bytes = bytes.ok_or(EntryError::Malformed)?;
    if bytes.len() % 2 != 0 {
        return Err(EntryError::Malformed);
    }
    FleetEntry::read(bytes.chunks_exact(2).map(|pair| (pair[0], pair[1])))
}

/// The streams of an answer to a read, which is nothing when nothing came in time.
fn streams(answer: &Value) -> Result<Vec<(String, &Value)>> {
    let pair = |key: &Value, entries| Some((text(key)?, entries));
    let streams: Option<Vec<_>> = match answer {
        Value::Nil => Some(Vec::new()),
        Value::Map(pairs) => pairs.iter().map(|(key, value)| pair(key, value)).collect(),
        Value::Array(streams) => streams
            .iter()
            .map(|stream| match items(stream).ok()? {
                [key, entries] => pair(key, entries),
                _ => None,
            })
            .collect(),
        _ => None,
    };
    streams.ok_or(EngineError::Answer)
}

fn items(value: &Value) -> Result<&[Value]> {
    match value {
        Value::Array(items) | Value::Set(items) => Ok(items),
        Value::Nil => Ok(&[]),
        _ => Err(EngineError::Answer),
    }
}

/// Names and values one after the other, whichever way the engine sends a map.
fn flat(value: &Value) -> Result<Vec<&Value>> {
    match value {
        Value::Map(pairs) => Ok(pairs.iter().flat_map(|(key, value)| [key, value]).collect()),
        other => Ok(items(other)?.iter().collect()),
    }
}

fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        _ => None,
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::VerbatimString { text, .. } => Some(text.clone()),
        value => String::from_utf8(bytes(value)?.to_vec()).ok(),
    }
}

fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        Value::Double(number) => Some(*number as i64),
        // scores come as 1.795e+12 where they are large
        value => text(value)?.parse::<f64>().ok().map(|number| number as i64),
    }
}

/// Members and their scores.
fn scored(value: &Value) -> Result<Vec<(String, i64)>> {
    let values = flat(value)?;
    let pairs = values.chunks_exact(2);
    // a member that is no text is nobody's
    Ok(pairs
        .filter_map(|pair| Some((text(pair[0])?, number(pair[1])?)))
        .collect())
}
