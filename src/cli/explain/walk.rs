//! Why a jail does nothing: from its configuration to the rule in the kernel, step by step, up to the
//! first one that is wrong.
//!
//! What is wrong is told by what looks for it: doctor's probes of server, log and firewall, and the
//! jail itself, which is given the last lines of its log.

mod lines;
mod server;
mod source;

use std::io::{self, Write};
use std::ops::ControlFlow;

use serde_json::{Value as Json, json};

pub use self::lines::too_few;
use self::lines::{count, ignored};
use super::arguments::ExplainArguments;
use super::feed::{ExplainInput, Harvest};
use super::judge::{JailInput, LineJudge};
use super::marks::visible;
use super::places::LinePlaces;
use crate::cli::doctor::inspection::Inspection;
use crate::cli::doctor::lines::TAIL;
use crate::cli::replay::jails::ReplaySource;

/// What a step found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepOutcome {
    /// All is well.
    Sound(String),
    /// It is wrong: why, and what to do.
    Wrong(String, String),
    /// It could not be looked at.
    Unseen(String),
}

/// A step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainStep {
    /// What it looked at, in a word.
    pub name: &'static str,
    /// What it found.
    pub outcome: StepOutcome,
}

/// The steps of a jail, up to the first one that is wrong.
#[derive(Clone, Debug)]
pub struct ExplainWalk {
    /// The jail.
    pub jail: String,
    /// The steps.
    pub steps: Vec<ExplainStep>,
}

use StepOutcome::{Sound, Unseen, Wrong};

impl ExplainWalk {
    /// Walks.
    ///
    /// # Errors
    /// There is no such jail, or the machine cannot be looked at.
    pub fn of(arguments: &ExplainArguments, jail: &str) -> anyhow::Result<ExplainWalk> {
        let mut walker = Walker {
            arguments,
            jail: jail.to_owned(),
            look: Inspection::at("/", Some(&arguments.config))?,
            steps: Vec::new(),
        };
        let _ = walker.walk();
        Ok(ExplainWalk {
            jail: walker.jail,
            steps: walker.steps,
        })
    }

    /// The step that is wrong.
    pub fn wrong(&self) -> Option<(&str, &str, &str)> {
        let last = self.steps.last()?;
        match &last.outcome {
            Wrong(why, cure) => Some((last.name, why, cure)),
            _ => None,
        }
    }

    /// Prints the answer, and on request all steps.
    ///
    /// # Errors
    /// Of the writer.
    pub fn print(&self, verbose: bool, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "jail {}", self.jail)?;
        match self.wrong() {
            Some((_, why, cure)) => {
                writeln!(out, "  {:<12}{why}", "wrong")?;
                writeln!(out, "  {:<12}{cure}", "cure")?;
            }
            None => {
                let text = self
                    .steps
                    .iter()
                    .rev()
                    .find_map(|step| match &step.outcome {
                        Sound(text) if step.name == "ban" => Some(text.as_str()),
                        _ => None,
                    });
                let text = text.unwrap_or("nothing else can be looked at");
                writeln!(out, "  {:<12}nothing that can be seen: {text}", "wrong")?;
            }
        }
        for step in &self.steps {
            let (word, text) = match &step.outcome {
                Sound(text) if verbose => ("ok", text),
                Wrong(text, _) if verbose => ("wrong", text),
                Unseen(text) => ("not looked at", text),
                _ => continue,
            };
            writeln!(out, "  {:<12}{word}: {text}", step.name)?;
        }
        Ok(())
    }

    /// The object for programs.
    pub fn json(&self) -> Json {
        let step = |step: &ExplainStep| {
            let (outcome, text, cure) = match &step.outcome {
                Sound(text) => ("ok", text, None),
                Wrong(text, cure) => ("wrong", text, Some(cure)),
                Unseen(text) => ("not looked at", text, None),
            };
            json!({ "step": step.name, "outcome": outcome, "text": text, "cure": cure })
        };
        json!({
            "jail": self.jail,
            "answer": self.wrong().map(|(step, why, cure)| {
                json!({ "step": step, "why": why, "cure": cure })
            }),
            "steps": self.steps.iter().map(step).collect::<Vec<_>>(),
        })
    }
}

struct Walker<'a> {
    arguments: &'a ExplainArguments,
    jail: String,
    look: Inspection,
    steps: Vec<ExplainStep>,
}

impl Walker<'_> {
    fn step(&mut self, name: &'static str, outcome: StepOutcome) -> ControlFlow<()> {
        let outcome = match outcome {
            Sound(text) => Sound(visible(&text)),
            Wrong(why, cure) => Wrong(visible(&why), visible(&cure)),
            Unseen(text) => Unseen(visible(&text)),
        };
        let wrong = matches!(outcome, Wrong(..));
        self.steps.push(ExplainStep { name, outcome });
        match wrong {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    fn walk(&mut self) -> ControlFlow<()> {
        if let Some(why) = self.look.broken.clone() {
            let base = self.look.base.clone();
            let places = LinePlaces::of_jail(&self.arguments.config, &self.jail);
            let of_filter =
                why.starts_with(&format!("jail {}: ", self.jail)) && why.contains("filter");
            let place = match of_filter {
                true => places.of("filter"),
                false => String::new(),
            };
            return self.step(
                "files",
                Wrong(
                    format!("the configuration in {base} does not load, so that no server starts with it: {why}{place}"),
                    "put it right where that says, see ferroban lint, then fail2ban-client reload".to_owned(),
                ),
            );
        }
        let own = LineJudge::own(self.arguments, &self.jail);
        let (mut judge, missing) = match own {
            Ok(JailInput { judge, missing, .. }) => (judge, missing),
            Err(why) => {
                return self.step(
                    "files",
                    Wrong(
                        format!("the jail {} cannot be made: {why:#}", self.jail),
                        "put it right where that says, then fail2ban-client reload".to_owned(),
                    ),
                );
            }
        };
        self.step("files", Sound(format!("{} loads", self.look.base)))?;
        let enabled = enabled(&judge, &self.jail);
        self.step("enabled", enabled)?;
        let serving = self.server();
        self.step("server", serving)?;
        // what follows is about this jail alone
        let name = self.jail.clone();
        self.look.jails.retain(|jail| jail.name == name);
        let source = self.source(&judge, &missing);
        self.step("source", source)?;
        let read = self.read(&judge);
        self.step("read", read)?;

        let feed = ExplainInput::of_jail(&mut judge, &self.look, TAIL);
        let mut feed = match feed {
            Ok(feed) => feed,
            Err(error) => return self.step("lines", Unseen(format!("what it reads: {error}"))),
        };
        let harvest = Harvest::of(&mut judge, &mut feed, self.look.present, |_, _| ());
        if harvest.lines == 0 {
            let text = match &judge.source {
                ReplaySource::Feed(name) => format!("what {name} has sent cannot be read again"),
                _ => "there is no whole line to look at".to_owned(),
            };
            return self.step("lines", Unseen(text));
        }
        let dates = self.dates(&judge, &harvest);
        self.step("date", dates)?;
        let clock = self.clock(&judge, &harvest);
        self.step("clock", clock)?;
        let matching = self.matching(&mut judge, &harvest);
        self.step("match", matching)?;
        let ignored = ignored(&judge, &harvest);
        self.step("ignored", ignored)?;
        let count = count(&mut judge, &harvest);
        self.step("count", count)?;
        let action = self.action(&judge);
        self.step("action", action)?;
        let ban = self.ban(&harvest);
        self.step("ban", ban)?;
        self.firewall()
    }
}

fn enabled(judge: &LineJudge, jail: &str) -> StepOutcome {
    match judge.places.is_enabled() {
        true => Sound(format!("the jail {jail} is enabled")),
        false => Wrong(
            format!(
                "the jail {jail} is not enabled{}",
                judge.places.of("enabled")
            ),
            format!(
                "write enabled = true below [{jail}] in jail.local, then fail2ban-client reload"
            ),
        ),
    }
}
