//! Tries on a filter what clients may write into the lines of a service.

pub mod attack;
pub mod shapes;

use std::cell::OnceCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::num::NonZero;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use attack::{Attack, Attempt};
use ferroban::parts::config;
use ferroban::parts::filter::{Clock, ExamineMode, FailureId, Filter, LineOutcome};
use regex_automata::meta::Regex;
use shapes::{Event, Kind, Part, Service, Writing};

/// As a jail watches its logs, but that all days are today.
const MANNER: ExamineMode = ExamineMode {
    window: false,
    ..ExamineMode::DAEMON
};

/// What came out for one filter.
#[derive(Debug, Default)]
pub struct Score {
    pub lines: usize,
    pub attempts: usize,
    /// How many there are.
    pub whole: usize,
    /// Attempts that got somebody else blamed.
    pub led: Vec<String>,
    /// The regexes that blamed somebody else, where it was for the text of a single client.
    pub leading: BTreeSet<String>,
    /// Attempts that nobody was blamed for.
    pub missed: Vec<String>,
    /// Those whose lines may as well be another client's, so that nobody can tell.
    pub undecided: usize,
}

/// How much is tried.
#[derive(Clone, Copy, Debug)]
pub enum Extent {
    /// About so many attempts for each filter.
    Sample(usize),
    /// All with one text in one field, and as many with several.
    Whole,
}

/// A filter of a configuration, by the name and options a jail gives it; `None`: it has none.
pub fn filter(config: &Path, wanted: &str) -> Option<Filter> {
    let name = wanted.split('[').next().unwrap_or(wanted);
    let file = config.join(format!("filter.d/{name}.conf"));
    if !file.exists() {
        return None;
    }
    let found = config::find_filter(config, wanted, "auto").expect("usable");
    let options = found.expect("there").options;
    let mut filter = Filter::new(name);
    if let Some(lines) = options.maxlines {
        filter.set_maxlines(usize::try_from(lines).expect("maxlines"));
    }
    if let Some(prefregex) = &options.prefregex {
        filter.set_prefregex(prefregex).expect("prefregex");
    }
    if let Some(pattern) = &options.datepattern {
        filter.set_datepattern(pattern).expect("datepattern");
    }
    for regex in &options.failregex {
        filter.add_failregex(regex).expect("failregex");
    }
    for regex in &options.ignoreregex {
        filter.add_ignoreregex(regex).expect("ignoreregex");
    }
    Some(filter)
}

struct Trial<'s> {
    service: &'s Service,
    filter: Filter,
    name: &'s str,
    process: usize,
    of_others: OnceCell<Vec<Regex>>,
    score: Score,
}

/// Tries a service's lines on one of its filters.
pub fn judge(service: &Service, filter: Filter, name: &str, extent: Extent) -> Score {
    let attack = Attack::new(service);
    let mut trial = Trial {
        service,
        filter,
        name,
        process: 1000,
        of_others: OnceCell::new(),
        score: Score::default(),
    };
    for (index, event) in service.events.iter().enumerate() {
        for turn in 0..service.heads.len() * service.accused.len() {
            if event.kind != Kind::Honest {
                trial.attempt(&attack.attempt(index, turn));
            }
        }
    }
    let count = attack.count();
    trial.score.whole = 2 * count;
    let (number, step) = match extent {
        Extent::Whole => (count, 1),
        // a step that meets every field and every piece
        Extent::Sample(number) => (number, (count / number).max(1) | 1),
    };
    let mut random = fastrand::Rng::with_seed(15);
    for turn in 0..number {
        trial.attempt(&attack.single(turn * step % count));
        trial.attempt(&attack.mixed(&mut random));
    }
    trial.score
}

impl Trial<'_> {
    /// Whom the filter blames for these lines.
    fn blamed(&mut self, lines: &[String], alone: bool) -> Vec<String> {
        let clock = Clock {
            now: 1_795_168_800.0,
            in_operation: true,
            findtime: 600.0,
        };
        let mut outcome = LineOutcome::default();
        let mut all = Vec::new();
        for line in lines {
            self.score.lines += 1;
            self.filter
                .examine(line, None, &clock, MANNER, &mut outcome);
            for found in &outcome.found {
                let id = match &found.id {
                    Some(FailureId::Address(address)) => address.to_string(),
                    Some(FailureId::Name(name)) => name.clone(),
                    None => continue,
                };
                if !alone && self.service.others.contains(&id) {
                    let regex = &self.filter.failregexes()[found.regex];
                    let groups = regex.groups();
                    let ids = [groups.fid, groups.ip4, groups.ip6, groups.dns, groups.host];
                    let source = match (ids.iter().any(Option::is_some), self.filter.prefregex()) {
                        (false, Some(prefregex)) => prefregex.source(),
                        _ => regex.source(),
                    };
                    self.score.leading.insert(source.to_owned());
                }
                all.push(id);
            }
        }
        all
    }

    fn attempt(&mut self, attempt: &Attempt) {
        let service = self.service;
        let event = &service.events[attempt.event];
        let head = &service.heads[attempt.head];
        let accused = &service.accused[attempt.accused];
        self.process += 1;
        self.score.attempts += 1;
        let lines = service.lines(event, head, &attempt.values, accused, self.process);
        let blamed = self.blamed(&lines, head.alone);
        let stranger = |id: &&String| !service.accused.contains(id);
        if let Some(id) = blamed.iter().find(stranger) {
            let id = id.clone();
            self.score.led.push(told(self.name, &id, &lines));
        }
        let expected = event.kind == Kind::Counted
            && event.concerns(self.name)
            && !(event.session && head.alone);
        if expected && !blamed.contains(accused) {
            match lines.iter().any(|line| self.is_undecided(line)) {
                true => self.score.undecided += 1,
                false => self.score.missed.push(told(self.name, "nobody", &lines)),
            }
        }
        // what an honest client does then
        let honest = service.events.iter().filter(|e| e.kind == Kind::Honest);
        let turn = self.score.attempts;
        if head.alone || turn.is_multiple_of(16) {
            let events: Vec<&Event> = honest.collect();
            let Some(event) = events.get(turn % events.len().max(1)) else {
                return;
            };
            self.process += 1;
            let other = &service.others[turn % service.others.len()];
            let harmless = service.harmless();
            let mut all = service.lines(event, head, &harmless, other, self.process);
            let blamed = self.blamed(&all, head.alone);
            if let Some(id) = blamed.iter().find(stranger) {
                all.splice(0..0, lines);
                self.score.led.push(told(self.name, id, &all));
            }
        }
    }

    /// Whether somebody else can be blamed for a line as well: whether there is a line of the service,
    /// with other texts of a client, that is the same and has another address.
    fn is_undecided(&self, line: &str) -> bool {
        let of_others = self.of_others.get_or_init(|| self.lines_of_others());
        of_others.iter().any(|regex| regex.is_match(line))
    }

    /// Regexes for all lines of the service that are about others. No engine that backtracks: it would
    /// give up on so many `.*`.
    fn lines_of_others(&self) -> Vec<Regex> {
        let service = self.service;
        let others: Vec<String> = service.others.iter().map(|o| escaped(o)).collect();
        let others = format!("(?:{})", others.join("|"));
        let heads: Vec<String> = service
            .heads
            .iter()
            .map(|head| self.pattern(&head.line, &others) + " ")
            .collect();
        let events = service.events.iter().flat_map(|event| &event.lines);
        let lines = events.chain(&service.readings);
        let whole = lines.flat_map(|(own, line)| {
            let body = self.pattern(line, &others);
            let heads = if *own { &[String::new()][..] } else { &heads };
            let whole = heads.iter().map(|head| format!("(?s)^{head}{body}$"));
            whole.collect::<Vec<String>>()
        });
        whole
            .filter(|whole| whole.contains(&others))
            .map(|whole| Regex::new(&whole).expect("a regex"))
            .collect()
    }

    /// A regex for all lines of a shape.
    fn pattern(&self, line: &[Part], address: &str) -> String {
        let mut pattern = String::new();
        for part in line {
            match part {
                Part::Text(text) => pattern += &escaped(text),
                Part::Address => pattern += address,
                Part::Process => pattern += "[0-9]+",
                Part::Field(index) => {
                    let field = &self.service.fields[*index];
                    pattern += &match field.writing {
                        Some(Writing::Token) => "[A-Z_-]+".to_owned(),
                        Some(Writing::Host) => "[A-Za-z0-9_.-]*".to_owned(),
                        Some(_) => ".*".to_owned(),
                        None if field.harmless.contains(' ') => escaped(&field.harmless),
                        None => r#"[^ \t",\]]*"#.to_owned(),
                    };
                }
                Part::Optional => pattern += "(?:",
                Part::OptionalEnd => pattern += ")?",
                Part::Cut(_) | Part::End => {}
            }
        }
        pattern
    }
}

fn told(filter: &str, id: &str, lines: &[String]) -> String {
    let mut text = format!("{filter}: {id} for");
    for line in lines {
        let _ = write!(text, "\n  {line}");
    }
    text
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_ascii_punctuation() {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// All services of `tests/injection`.
fn services() -> impl Iterator<Item = Service> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/injection");
    let entries = std::fs::read_dir(directory).expect("tests/injection");
    let paths = entries.map(|entry| entry.expect("entry").path());
    paths
        .filter(|path| path.extension().is_some_and(|ext| ext == "txt"))
        .map(|path| Service::read(&std::fs::read_to_string(&path).expect("UTF-8")))
}

/// How many filters the services name.
pub fn filters() -> usize {
    services().map(|service| service.filters.len()).sum()
}

/// Tries the service that a shipped filter is for on another filter, which a configuration has.
#[allow(dead_code)] // not every program tries others
pub fn of_service(config: &Path, name: &str, shipped: &str, extent: Extent) -> Score {
    let is_meant = |service: &Service| service.filters.iter().any(|filter| filter == shipped);
    let service = services().find(is_meant).expect("a service");
    let filter = filter(config, name).expect("a filter");
    judge(&service, filter, name, extent)
}

/// Tries all services on those filters of a configuration that are wanted, several at a time.
pub fn all(
    config: &Path,
    extent: Extent,
    wanted: &(dyn Fn(&str) -> bool + Sync),
) -> BTreeMap<String, Score> {
    let services: Vec<Service> = services().collect();
    let mut trials: Vec<(&Service, &String)> = services
        .iter()
        .flat_map(|service| service.filters.iter().map(move |name| (service, name)))
        .filter(|(_, name)| wanted(name))
        .collect();
    // the longest first, so that no thread is left alone with one
    trials.sort_by_cached_key(|(service, _)| Reverse(Attack::new(service).count()));
    let next = AtomicUsize::new(0);
    let scores = Mutex::new(BTreeMap::new());
    let work = || {
        while let Some((service, name)) = trials.get(next.fetch_add(1, Relaxed)) {
            if let Some(filter) = filter(config, name) {
                let score = judge(service, filter, name, extent);
                scores.lock().expect("sound").insert((*name).clone(), score);
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    scores.into_inner().expect("sound")
}

/// The scores as a table, with some of what went wrong.
pub fn table(scores: &BTreeMap<String, Score>) -> String {
    let mut text = format!(
        "{:<33} {:>9} {:>9} {:>9} {:>7} {:>7} {:>9}\n",
        "filter", "of", "attempts", "lines", "led", "missed", "undecided"
    );
    let mut row = |name: &str, s: [usize; 6]| {
        let [whole, attempts, lines, led, missed, undecided] = s;
        let _ = writeln!(
            text,
            "{name:<33} {whole:>9} {attempts:>9} {lines:>9} {led:>7} {missed:>7} {undecided:>9}"
        );
    };
    let mut sum = [0; 6];
    for (name, s) in scores {
        let figures = [
            s.whole,
            s.attempts,
            s.lines,
            s.led.len(),
            s.missed.len(),
            s.undecided,
        ];
        row(name, figures);
        for (total, figure) in sum.iter_mut().zip(figures) {
            *total += figure;
        }
    }
    row("all", sum);
    for score in scores.values() {
        for regex in &score.leading {
            let _ = writeln!(text, "leads: {regex}");
        }
        for wrong in score.led.iter().take(3) {
            let _ = writeln!(text, "led: {wrong}");
        }
        for wrong in score.missed.iter().take(3) {
            let _ = writeln!(text, "missed: {wrong}");
        }
    }
    text
}
