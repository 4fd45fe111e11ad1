//! The task of one jail: gives the core lines, a clock and answers from outside, and carries out
//! what it decides: log lines, database rows, orders to the actions.
//!
//! It sleeps until a chunk of lines, a command, an answer, or the next due ban arrives; nothing is
//! periodic. Failures are judged in the order of their lines; while one waits for an answer the
//! jail still serves commands, and its readers are held back.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot};

use super::core::{Ignorance, JailCore, Past};
use super::decision::{Decision, local_time};
use super::inquiry::{self, Answer, Case, FileStamp, Origin, Question, Teller};
use super::logs::Logs;
use super::saved::Saved;
use super::{Backend, Surroundings};
use crate::action::{Actions, Order};
use crate::address::Address;
use crate::control::{CommandError, JailCommand, JailOption, JailSetting, Reply, Value};
use crate::filter::{Failure, FailureId};
use crate::log;
use crate::pattern::UseDns;
use crate::source::Chunk;
use crate::ticket::{Ticket, Timestamp};
use crate::{info, msg, warning};

/// Chunks waiting for the jail; the readers are held back beyond.
const WAITING_CHUNKS: usize = 4;

/// Requests waiting for the jail.
const WAITING_REQUESTS: usize = 64;

/// The clock may be set while the jail sleeps: look again after this long.
const LONGEST_SLEEP: f64 = 300.0;

/// How long names of `ignoreip` hold, and the contents of its files (fact J27).
const NAMES_HOLD: Duration = Duration::from_secs(300);
const FILES_HOLD: Duration = Duration::from_secs(1);
const BROKEN_FILES_HOLD: Duration = Duration::from_secs(60);

/// What a jail is asked to do.
#[derive(Debug)]
pub(super) enum Request {
    Call(JailCommand, oneshot::Sender<Reply>),
    Start(oneshot::Sender<Reply>),
    Stop(oneshot::Sender<Reply>),
    Reload(Phase, oneshot::Sender<()>),
    /// Lift these bans, or all.
    Unban(Option<Vec<String>>, oneshot::Sender<usize>),
    /// Names among the ids have been looked up.
    UnbanResolved {
        ids: Vec<String>,
        names: HashMap<String, Vec<Address>>,
        report_absent: bool,
        reply: oneshot::Sender<Reply>,
    },
}

/// Where a reload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Begin,
    End,
    Abort,
}

/// State of the task.
pub(super) struct Task {
    core: JailCore,
    backend: Backend,
    around: Surroundings,
    actions: Actions,
    logs: Logs,
    inbox: mpsc::WeakSender<Request>,
    /// True from start to stop; seen by the handle.
    started: Arc<AtomicBool>,
    idle: bool,
    /// The case whose question is under way.
    asked: Option<(Case, Question)>,
    /// Cases after that one.
    cases: VecDeque<Case>,
    /// Until when `ignoreip` needs nothing from outside.
    outside_until: Option<Instant>,
    files: HashMap<String, FileStamp>,
    /// What a reload that fails falls back to.
    saved: Option<Box<Saved>>,
}

/// Starts the task; `started` is kept up to date.
pub(super) fn spawn(
    name: &str,
    backend: Backend,
    around: Surroundings,
    actions: Actions,
    started: Arc<AtomicBool>,
) -> mpsc::Sender<Request> {
    let (sender, requests) = mpsc::channel(WAITING_REQUESTS);
    let (chunks_in, chunks) = mpsc::channel(WAITING_CHUNKS);
    let logs = Logs::new(
        name,
        around.sources.clone(),
        around.store.clone(),
        backend.watch(),
        chunks_in,
    );
    let task = Task {
        core: JailCore::new(name, around.store.is_some()),
        backend,
        around,
        actions,
        logs,
        inbox: sender.downgrade(),
        started,
        idle: false,
        asked: None,
        cases: VecDeque::new(),
        outside_until: None,
        files: HashMap::new(),
        saved: None,
    };
    tokio::spawn(task.run(requests, chunks));
    sender
}

/// The present time.
pub(super) fn now() -> Timestamp {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

impl Task {
    /// Until the jail is stopped, or nobody holds a handle any more.
    async fn run(
        mut self,
        mut requests: mpsc::Receiver<Request>,
        mut chunks: mpsc::Receiver<Arc<Chunk>>,
    ) {
        loop {
            let reading = self.is_started() && !self.idle && self.is_free();
            let wake = self.wake();
            tokio::select! {
                request = requests.recv() => match request {
                    Some(Request::Stop(reply)) => {
                        self.stop().await;
                        let _ = reply.send(Ok(Value::None));
                        return;
                    }
                    Some(request) => self.serve(request).await,
                    None => return self.stop().await,
                },
                Some(chunk) = chunks.recv(), if reading => self.take_chunk(&chunk),
                answer = answer(&mut self.asked), if self.asked.is_some() => self.learn(answer),
                () = sleep_until(wake), if wake.is_some() => self.tick(),
            }
        }
    }

    fn is_started(&self) -> bool {
        self.started.load(Ordering::Relaxed)
    }

    /// No failure waits to be judged.
    fn is_free(&self) -> bool {
        self.asked.is_none() && self.cases.is_empty()
    }

    /// When the task has to wake by itself.
    fn wake(&mut self) -> Option<Instant> {
        let due = match self.is_started() && !self.idle {
            true => self.core.next_due(),
            false => None,
        };
        let due = due.map(|due| {
            // a ban ends strictly after its last moment
            let wait = (due - now()).clamp(0.0, LONGEST_SLEEP) + 0.001;
            Instant::now() + Duration::from_secs_f64(wait)
        });
        due.into_iter().chain(self.logs.save_at()).min()
    }

    fn tick(&mut self) {
        let clock = Instant::now();
        if self.logs.save_at().is_some_and(|at| at <= clock) {
            self.logs.save_due(clock);
        }
        if self.is_started() && !self.idle {
            let decisions = self.core.due(now());
            self.carry_out(decisions);
        }
    }

    /// All lines of a chunk through the filter, then its failures to the judge.
    fn take_chunk(&mut self, chunk: &Chunk) {
        let now = now();
        let Task {
            core, logs, cases, ..
        } = self;
        let encoding = core.encoding().to_owned();
        logs.lines(chunk, &encoding, |line, in_operation| {
            for failure in core.line(line, None, now, in_operation) {
                cases.push_back(log_case(failure));
            }
        });
        self.judge_cases();
    }

    /// Judges cases until one has a question, or none is left.
    fn judge_cases(&mut self) {
        while !self.idle
            && self.asked.is_none()
            && let Some(mut case) = self.cases.pop_front()
        {
            match self.judge(&mut case) {
                Some(question) => self.asked = Some((case, question)),
                None => self.conclude(case),
            }
        }
        if self.is_free() {
            self.logs.judged(Instant::now());
        }
    }

    /// The next question a case has; `None`: it can be concluded.
    fn judge(&mut self, case: &mut Case) -> Option<Question> {
        let names = &self.around.names;
        let id = match &case.id {
            FailureId::Address(id) => id.clone(),
            FailureId::Name(name) => {
                let warn = self.core.usedns() == UseDns::Warn;
                return Some(inquiry::addresses(names.clone(), name.clone(), warn));
            }
        };
        if case.ignored.is_none() {
            if let Some(question) = self.prepare_ignoring() {
                return Some(question);
            }
            if case.key.is_none()
                && let Some(key) = self.core.ignore_key()
            {
                let key = key.to_owned();
                return Some(inquiry::key(self.teller(), case.ticket.clone(), key));
            }
            match self.core.ignored(&id, case.key.as_deref(), now()) {
                Ignorance::No => case.ignored = Some(false),
                Ignorance::Known => case.ignored = Some(true),
                Ignorance::By(by) => {
                    self.carry_out(vec![Decision::Ignored { id: id.clone(), by }]);
                    case.ignored = Some(true);
                }
                Ignorance::Ask(command) => {
                    let ticket = case.ticket.clone();
                    return Some(inquiry::command(self.teller(), ticket, command));
                }
            }
        }
        let counts = !matches!(case.origin, Origin::Restored) && case.ignored == Some(false);
        if counts
            && case.past.is_none()
            && self.core.wants_past()
            && let Some(store) = &self.around.store
        {
            let everywhere = self.core.wants_past_everywhere();
            let jail = self.core.name().to_owned();
            return Some(inquiry::past(store.clone(), jail, id, everywhere));
        }
        None
    }

    /// What `ignoreip` and `ignoreself` need to know before they are asked.
    fn prepare_ignoring(&mut self) -> Option<Question> {
        if self.core.ignores_self() {
            match self.around.names.own_addresses_now() {
                Some(own) => self.core.know_own_addresses(own),
                None => {
                    let names = self.around.names.clone();
                    return Some(Box::pin(async move {
                        names.own_addresses().await;
                        Answer::Own
                    }));
                }
            }
        }
        if self
            .outside_until
            .is_some_and(|until| Instant::now() < until)
        {
            return None;
        }
        let (names, files) = (self.core.ignored_names(), self.core.ignored_files());
        if names.is_empty() && files.is_empty() {
            self.outside_until = Some(Instant::now() + NAMES_HOLD);
            return None;
        }
        Some(inquiry::outside(
            self.around.names.clone(),
            names,
            files,
            self.files.clone(),
        ))
    }

    /// Takes the answer to the question under way and goes on.
    fn learn(&mut self, answer: Answer) {
        let Some((mut case, _)) = self.asked.take() else {
            return;
        };
        match answer {
            Answer::Own => {}
            Answer::Addresses(addresses) => {
                // one failure for each address, before those that came later
                for ip in addresses.iter().rev() {
                    self.cases.push_front(case.with_address(Address::Ip(*ip)));
                }
                return self.judge_cases();
            }
            Answer::Outside(outside) => self.learn_outside(outside),
            Answer::Key(key) => case.key = Some(key),
            Answer::Ignored(ignored) => {
                if ignored && let FailureId::Address(id) = &case.id {
                    let (id, by) = (id.clone(), "command".to_owned());
                    self.carry_out(vec![Decision::Ignored { id, by }]);
                }
                self.core
                    .remember_ignored(case.key.as_deref(), ignored, now());
                case.ignored = Some(ignored);
            }
            Answer::Past(past) => case.past = Some(past),
        }
        self.cases.push_front(case);
        self.judge_cases();
    }

    fn learn_outside(&mut self, outside: inquiry::Outside) {
        let mut new_names = false;
        for (path, text, stamp) in outside.files {
            self.core.know_file(&path, &text);
            self.files.insert(path, stamp);
            new_names = true;
        }
        self.core.know_names(outside.names);
        let files = self.core.ignored_files();
        let hold = if files.is_empty() {
            NAMES_HOLD
        } else if files.iter().all(|path| self.files.contains_key(path)) {
            FILES_HOLD
        } else {
            BROKEN_FILES_HOLD
        };
        // names that a file has just brought are still to be looked up
        self.outside_until =
            (!new_names || self.core.ignored_names().is_empty()).then(|| Instant::now() + hold);
    }

    /// Everything is known: count, ban, or do nothing.
    fn conclude(&mut self, case: Case) {
        let FailureId::Address(id) = case.id else {
            return;
        };
        let ignored = case.ignored == Some(true);
        let past = case.past.unwrap_or_default();
        let (now, ticket) = (now(), case.ticket);
        let mut decisions = Vec::new();
        match case.origin {
            Origin::Log if !ignored => {
                decisions = self.core.count(
                    &id,
                    ticket.time,
                    &ticket.matches,
                    &ticket.fields,
                    &past,
                    now,
                );
            }
            Origin::Restored if !ignored => {
                self.core.ban(ticket, &past, now, &mut decisions);
            }
            Origin::Attempt { lines, reply } => {
                if !ignored {
                    info!(
                        "fail2ban.filter",
                        "[{}] Attempt {} - {}",
                        self.core.name(),
                        id,
                        local_time(now)
                    );
                    decisions = self.core.attempt(&id, &lines, &past, now);
                }
                let _ = reply.send(Ok(Value::Int(i64::from(!ignored))));
            }
            Origin::Log | Origin::Restored => {}
        }
        self.carry_out(decisions);
    }

    /// Logs and does what was decided. A ban is in the database's queue before its order is in the
    /// actions'.
    fn carry_out(&mut self, decisions: Vec<Decision>) {
        for decision in decisions {
            if let Some((level, target, text)) = decision.log_line(self.core.name())
                && log::enabled(level)
            {
                log::write(level, target, format_args!("{text}"));
            }
            match decision {
                Decision::Record(ticket) => {
                    if let Some(store) = &self.around.store {
                        store.add_ban(self.core.name(), &ticket);
                    }
                }
                Decision::Ban { ticket, figures } => self.actions.send(Order::Ban {
                    ticket,
                    figures,
                    again: false,
                }),
                Decision::Already { ticket, check, .. } => {
                    if check {
                        self.actions.send(Order::Check(oneshot::channel().0));
                    }
                    self.actions.send(Order::Ban {
                        ticket,
                        figures: self.core.figures(),
                        again: true,
                    });
                }
                Decision::Prolong(ticket) => self.actions.send(Order::Prolong(ticket)),
                Decision::Unban(ticket) => self.actions.send(Order::Unban(ticket)),
                _ => {}
            }
        }
    }

    async fn serve(&mut self, request: Request) {
        // an answer nobody waits for any more is dropped
        match request {
            Request::Call(command, reply) => self.call(command, reply).await,
            Request::Start(reply) => {
                self.start().await;
                let _ = reply.send(Ok(Value::None));
            }
            Request::Stop(_) => {}
            Request::Reload(phase, reply) => {
                self.reload(phase).await;
                let _ = reply.send(());
            }
            Request::Unban(None, reply) => {
                let _ = reply.send(self.unban_all());
            }
            Request::Unban(Some(ids), reply) => {
                let (answer, count) = oneshot::channel();
                self.unban(ids, false, answer);
                tokio::spawn(async move {
                    let count = match count.await {
                        Ok(Ok(Value::Int(count))) => usize::try_from(count).unwrap_or(0),
                        _ => 0,
                    };
                    let _ = reply.send(count);
                });
            }
            Request::UnbanResolved {
                ids,
                names,
                report_absent,
                reply,
            } => {
                let _ = reply.send(self.unban_resolved(&ids, &names, report_absent));
            }
        }
    }

    async fn call(&mut self, command: JailCommand, reply: oneshot::Sender<Reply>) {
        let answer = match command {
            JailCommand::Status { flavour } => Ok(self.status(&flavour)),
            JailCommand::Get(JailOption::LogPath) => Ok(self.logs.paths().into()),
            JailCommand::Get(option) => Ok(self.core.get(&option).unwrap_or(Value::None)),
            JailCommand::Set(JailSetting::Attempt { id, lines }) => {
                return self.attempt(&id, lines, reply);
            }
            JailCommand::Set(JailSetting::UnbanIp { ids, report_absent }) => {
                return self.unban(ids, report_absent, reply);
            }
            JailCommand::Set(JailSetting::DelAction(name)) => {
                let bans = self.core.banned_tickets();
                return self.actions.send(Order::Remove { name, bans, reply });
            }
            JailCommand::Set(setting) => self.set(setting).await,
        };
        let _ = reply.send(answer);
    }

    async fn set(&mut self, setting: JailSetting) -> Reply {
        match setting {
            JailSetting::Idle(word) => {
                self.idle = match word.as_str() {
                    "on" => true,
                    "off" => false,
                    _ => {
                        return Err(CommandError::new(
                            "Invalid idle option, must be 'on' or 'off'",
                        ));
                    }
                };
                self.judge_cases();
                Ok(self.idle.into())
            }
            JailSetting::AddLogPath { path, tail } => {
                let encoding = self.core.encoding().to_owned();
                self.logs.add(&path, tail, &encoding).await?;
                Ok(self.logs.paths().into())
            }
            JailSetting::DelLogPath(path) => {
                self.logs.remove(&path);
                Ok(self.logs.paths().into())
            }
            JailSetting::AddJournalMatch(_) | JailSetting::DelJournalMatch(_) => {
                Ok(Value::List(Vec::new()))
            }
            JailSetting::BanIp(ids) => Ok(self.ban_by_hand(&ids).await),
            setting => {
                let reply = self.core.apply(&setting).unwrap_or(Ok(Value::None));
                match setting {
                    JailSetting::LogEncoding(_) => self.logs.set_encoding(self.core.encoding()),
                    JailSetting::BanTime(_) => {
                        self.actions.send(Order::Figures(self.core.figures()));
                    }
                    JailSetting::AddIgnoreIp(_) | JailSetting::DelIgnoreIp(_) => {
                        self.outside_until = None;
                    }
                    _ => {}
                }
                reply
            }
        }
    }

    fn status(&mut self, flavour: &str) -> Value {
        const FLAVOURS: [&str; 4] = ["short", "basic", "stats", "cymru"];
        if flavour == "stats" {
            let [failed, banned] = self.core.counts(now());
            let pair = |(now, ever): (i64, i64)| Value::Tuple(vec![now.into(), ever.into()]);
            return Value::List(vec![
                self.backend.as_str().into(),
                pair(failed),
                pair(banned),
            ]);
        }
        if !FLAVOURS.contains(&flavour) {
            warning!(
                "fail2ban.actions",
                "Unsupported extended jail status flavor {}. Supported: {}",
                Value::from(flavour).repr(),
                Value::from(FLAVOURS.to_vec()).repr()
            );
        }
        let files = ("File list", self.logs.paths().into());
        self.core.status(flavour, files, now())
    }

    fn attempt(&mut self, id: &str, lines: Vec<String>, reply: oneshot::Sender<Reply>) {
        let id = Address::parse(id);
        self.cases.push_back(Case {
            ticket: Ticket::new(id.clone(), now()),
            origin: Origin::Attempt { lines, reply },
            id: FailureId::Address(id),
            key: None,
            ignored: None,
            past: None,
        });
        self.judge_cases();
    }

    /// `banip`: whatever `ignoreip` says (fact J29).
    async fn ban_by_hand(&mut self, ids: &[String]) -> Value {
        let mut count = 0;
        for id in ids {
            let id = Address::parse(id);
            let past = match &self.around.store {
                Some(store) if self.core.wants_past() => {
                    let everywhere = self.core.wants_past_everywhere();
                    inquiry::history(store, self.core.name(), &id, everywhere).await
                }
                _ => Past::default(),
            };
            let mut decisions = Vec::new();
            let now = now();
            let ticket = Ticket::new(id, now);
            count += i64::from(self.core.ban(ticket, &past, now, &mut decisions));
            self.carry_out(decisions);
        }
        Value::Int(count)
    }

    fn unban_all(&mut self) -> usize {
        let tickets = self.core.unban_all();
        let count = tickets.len();
        if let Some(store) = &self.around.store {
            store.delete_bans(self.core.name(), None);
        }
        self.actions.send(Order::Flush(tickets));
        count
    }

    /// Lifts bans; what is neither banned nor an address may be a name, which is looked up first,
    /// beside the jail.
    fn unban(&mut self, ids: Vec<String>, report_absent: bool, reply: oneshot::Sender<Reply>) {
        let unknown: Vec<String> = ids
            .iter()
            .filter(|id| {
                let id = Address::parse(id);
                matches!(id, Address::Raw(_)) && !self.core.is_banned(&id)
            })
            .cloned()
            .collect();
        let inbox = self.inbox.upgrade();
        let Some(inbox) = inbox.filter(|_| !unknown.is_empty()) else {
            let _ = reply.send(self.unban_resolved(&ids, &HashMap::new(), report_absent));
            return;
        };
        let lookup = self.around.names.clone();
        tokio::spawn(async move {
            let mut names = HashMap::new();
            for name in unknown {
                let addresses = lookup.addresses(&name).await;
                let addresses = addresses.iter().copied().map(Address::Ip).collect();
                names.insert(name, addresses);
            }
            let request = Request::UnbanResolved {
                ids,
                names,
                report_absent,
                reply,
            };
            let _ = inbox.send(request).await;
        });
    }

    fn unban_resolved(
        &mut self,
        ids: &[String],
        names: &HashMap<String, Vec<Address>>,
        report_absent: bool,
    ) -> Reply {
        let mut count = 0;
        let mut absent = Vec::new();
        for id in ids {
            match self.unban_one(id, names.get(id)) {
                0 => absent.push(id.as_str()),
                lifted => count += lifted,
            }
        }
        if report_absent && !absent.is_empty() {
            let absent = Value::from(absent);
            let text = format!("not banned: {}", absent.repr());
            return Err(CommandError::builtin("ValueError", text));
        }
        Ok(Value::Int(count))
    }

    /// An id has to be given in its canonical form (sharp edge 47); a network or name that is not
    /// banned itself stands for all addresses in it (fact P46).
    fn unban_one(&mut self, text: &str, addresses: Option<&Vec<Address>>) -> i64 {
        let id = Address::parse(text);
        if id.to_string() == text {
            self.forget(&id);
            if self.lift(&id) {
                return 1;
            }
        }
        let covered: Vec<Address> = if id.is_single() {
            Vec::new()
        } else {
            let covers = |banned: &&&Address| {
                id.contains(banned) || addresses.is_some_and(|list| list.contains(banned))
            };
            let banned = self.core.banned_ids();
            banned
                .iter()
                .filter(covers)
                .map(|id| (*id).clone())
                .collect()
        };
        if covered.is_empty() {
            msg!("fail2ban.actions", "{} is not banned", text);
        }
        for id in &covered {
            self.forget(id);
            self.lift(id);
        }
        covered.len() as i64
    }

    fn forget(&self, id: &Address) {
        if let Some(store) = &self.around.store {
            store.delete_bans(self.core.name(), Some(vec![id.clone()]));
        }
    }

    fn lift(&mut self, id: &Address) -> bool {
        let ticket = self.core.unban(id);
        let lifted = ticket.is_some();
        self.carry_out(ticket.map(Decision::Unban).into_iter().collect());
        lifted
    }

    /// Starts actions, restores bans, begins to read. A started jail only leaves its idle state.
    async fn start(&mut self) {
        self.idle = false;
        if self.is_started() {
            return self.judge_cases();
        }
        self.started.store(true, Ordering::Relaxed);
        if self.core.ignores_self() && self.around.names.own_addresses_now().is_none() {
            // so that the first failure need not wait for it
            let names = self.around.names.clone();
            tokio::spawn(async move { names.own_addresses().await });
        }
        self.actions.send(Order::Figures(self.core.figures()));
        self.actions.send(Order::Start);
        self.restore().await;
        self.logs.start().await;
        info!(
            "fail2ban.jail",
            "Jail {} started",
            Value::from(self.core.name()).repr()
        );
    }

    /// Bans that have not ended while the jail was away (fact B16).
    async fn restore(&mut self) {
        let Some(store) = &self.around.store else {
            return;
        };
        let now = now();
        let default = self.core.default_ban_time();
        let tickets = store.current_bans(self.core.name(), now, default).await;
        for ticket in tickets {
            if let Some(ticket) = self.core.restorable(ticket, now) {
                self.cases.push_back(Case {
                    origin: Origin::Restored,
                    id: FailureId::Address(ticket.id.clone()),
                    ticket,
                    key: None,
                    ignored: None,
                    past: None,
                });
            }
        }
        self.judge_cases();
    }

    /// Stops reading, then has the actions lift and stop; bans stay in the database.
    async fn stop(&mut self) {
        self.asked = None;
        self.cases.clear();
        self.logs.stop();
        let (done, stopped) = oneshot::channel();
        self.actions.send(Order::Stop(self.core.unban_all(), done));
        let _ = stopped.await;
        self.started.store(false, Ordering::Relaxed);
        if let Some(store) = &self.around.store {
            store.disable_jail(self.core.name());
        }
        info!(
            "fail2ban.jail",
            "Jail {} stopped",
            Value::from(self.core.name()).repr()
        );
    }

    async fn reload(&mut self, phase: Phase) {
        match phase {
            Phase::Begin => {
                self.idle = true;
                self.saved = Some(Box::new(Saved::new(&self.core)));
                self.core.clear_lists();
                self.logs.begin_reload();
                self.actions.send(Order::Reloading(true, Vec::new()));
            }
            Phase::End => {
                self.saved = None;
                self.logs.end_reload(false);
                self.actions.send(Order::Figures(self.core.figures()));
                let bans = self.core.banned_tickets();
                self.actions.send(Order::Reloading(false, bans));
            }
            Phase::Abort => {
                if let Some(saved) = self.saved.take() {
                    saved.restore(&mut self.core);
                }
                self.logs.set_encoding(self.core.encoding());
                self.logs.end_reload(true);
                self.actions.send(Order::ReloadFailed);
                self.actions.send(Order::Figures(self.core.figures()));
                self.idle = false;
                self.judge_cases();
            }
        }
        self.outside_until = None;
    }

    fn teller(&self) -> Teller {
        Teller {
            jail: self.core.name().to_owned(),
            store: self.around.store.clone(),
            figures: self.core.figures(),
        }
    }
}

fn log_case(failure: Failure) -> Case {
    let id = match &failure.id {
        FailureId::Address(id) => id.clone(),
        FailureId::Name(name) => Address::raw(name.as_str()),
    };
    let mut ticket = Ticket::new(id, failure.time);
    ticket.matches = failure.matches;
    ticket.fields = failure.fields;
    Case {
        origin: Origin::Log,
        id: failure.id,
        ticket,
        key: None,
        ignored: None,
        past: None,
    }
}

/// The answer to the question under way; never without one.
async fn answer(asked: &mut Option<(Case, Question)>) -> Answer {
    match asked {
        Some((_, question)) => question.await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake.into()).await,
        None => std::future::pending().await,
    }
}
