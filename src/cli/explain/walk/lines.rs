//! What a jail makes of the last lines it reads: dates, matches, who is ignored, who fails often enough.

use super::StepOutcome::{self, Sound, Unseen, Wrong};
use super::Walker;
use crate::cli::doctor::findings::DoctorFindings;
use crate::cli::doctor::lines;
use crate::cli::doctor::logs;
use crate::cli::explain::answer::{LineAnswer, candidates, cure, pattern_reach};
use crate::cli::explain::feed::{Harvest, Tries};
use crate::cli::explain::judge::LineJudge;
use crate::cli::explain::marks::shown;
use crate::cli::explain::words::counted;
use crate::cli::replay::jails::ReplaySource;
use crate::datetime::duration;
use crate::filter::Dates;
use crate::jail::decision::local_time;
use crate::python::Number;

impl Walker<'_> {
    /// Whether lines have dates that the jail finds.
    pub(super) fn dates(&self, judge: &LineJudge, harvest: &Harvest) -> StepOutcome {
        let Dates::Detector(detector) = judge.jail.filter().dates() else {
            return Sound("no date is looked for: lines count when they are read".to_owned());
        };
        let failures = harvest.failures() > 0 || !harvest.ignored.is_empty();
        if matches!(judge.source, ReplaySource::Journal(..))
            || judge.jail.filter().accepts_undated(self.look.present)
        {
            return Sound("lines need no date of their own".to_owned());
        }
        if harvest.dated > 0 || failures {
            return Sound(format!(
                "{} of the last {} lines have a date",
                harvest.dated, harvest.lines
            ));
        }
        let line = harvest.undated.clone().unwrap_or_default();
        let reach = match detector.is_default() {
            true => String::new(),
            false => format!("; {}", pattern_reach(detector, &line, self.look.present)),
        };
        let place = judge.places.of_filter("datepattern");
        let candidates = candidates(detector, &line, self.look.present);
        let (looks, cure) = match candidates.first() {
            Some((is_default, guess)) => (
                format!("; {} looks like one", shown(&line[guess.start..guess.end])),
                cure(*is_default, guess),
            ),
            None => (
                String::new(),
                "set datepattern in the filter to the form of the log, or datepattern = {NONE} if its lines have none".to_owned(),
            ),
        };
        Wrong(
            format!(
                "none of the last {} has a date that the jail finds, as {}{reach}{looks}{place}",
                counted(harvest.lines, "line"),
                shown(&line)
            ),
            cure,
        )
    }

    /// Whether the dates fit the time at which they were written.
    pub(super) fn clock(&self, judge: &LineJudge, harvest: &Harvest) -> StepOutcome {
        let (ReplaySource::Files(paths), Some(last)) = (&judge.source, harvest.last) else {
            return Sound("the time of entries is the journal's".to_owned());
        };
        // of several logs it is not known which one has the last date
        let [path] = paths.as_slice() else {
            return Sound(format!("the last date is {}", local_time(last)));
        };
        let written = logs::written(&self.look.machine.place(path)).unwrap_or(last);
        let mut findings = DoctorFindings::default();
        lines::of_date(path, last, written, self.look.present, &mut findings);
        match findings.list.into_iter().next() {
            Some(finding) => Wrong(
                format!(
                    "{}; lines that a server finds when it starts are dropped if they seem older than findtime",
                    finding.message
                ),
                finding.cure,
            ),
            None => Sound(format!("the last date is {}", local_time(last))),
        }
    }

    /// Whether lines match.
    pub(super) fn matching(&self, judge: &mut LineJudge, harvest: &Harvest) -> StepOutcome {
        let failures = harvest.failures() as usize + harvest.ignored.len() + harvest.names;
        let lines = harvest.lines;
        if failures > 0 {
            return Sound(format!(
                "{} in the last {}",
                counted(failures, "failure"),
                counted(lines, "line")
            ));
        }
        let mut closest: Option<(String, LineAnswer)> = None;
        let mut taken_back = 0;
        let mut known = None;
        for line in &harvest.missed {
            let told = judge.tell(line, self.look.present);
            let trace = &told.explanation.trace;
            taken_back += usize::from(trace.ignored_by().is_some());
            if trace.matched().is_some() && trace.ignored_by().is_none() {
                known = Some(line);
            }
            let answer = told.answer;
            let is_closer = closest
                .as_ref()
                .is_none_or(|(_, known)| answer.closeness > known.closeness);
            if is_closer {
                closest = Some((line.clone(), answer));
            }
        }
        // a line that matches and is none in itself: the filter knows the log, and nobody has failed
        if let Some(line) = known.filter(|_| taken_back == 0) {
            return Sound(format!(
                "no failure in the last {}, though the filter knows such as {}",
                counted(lines, "line"),
                shown(line)
            ));
        }
        let Some((line, answer)) = closest else {
            return Unseen("its lines".to_owned());
        };
        let what = match taken_back {
            0 => format!(
                "none of the last {lines} lines is a failure for the jail {}",
                self.jail
            ),
            _ => format!(
                "an ignoreregex takes back {taken_back} of the last {lines} lines, and none is left as a failure for the jail {}",
                self.jail
            ),
        };
        Wrong(
            format!("{what}; {} comes closest: {}", shown(&line), answer.why),
            answer.cure.unwrap_or_else(|| "all is well if nobody has tried; else give ferroban explain a line that should count".to_owned()),
        )
    }
}

/// Whether all who fail are ignored.
pub fn ignored(judge: &LineJudge, harvest: &Harvest) -> StepOutcome {
    let failures = harvest.failures();
    if failures == 0
        && let Some((id, by)) = harvest.ignored.last()
    {
        let rule = judge.rule(by, id);
        return Wrong(
            format!("all failures ({}) are ignored, such as those of {id}, by {rule}", harvest.ignored.len()),
            "take the address out of what is named there; if it is a proxy's, have the service log the client's".to_owned(),
        );
    }
    if failures == 0 && harvest.names > 0 {
        return Wrong(
            format!("all {} failures are of host names, which count for the addresses that they have when the server looks them up", harvest.names),
            "have the service log addresses, or write <ADDR> in the failregex where the line has one".to_owned(),
        );
    }
    Sound(format!(
        "{} of those ignored",
        counted(harvest.ignored.len(), "failure")
    ))
}

/// Whether anybody fails often enough.
pub fn count(judge: &mut LineJudge, harvest: &Harvest) -> StepOutcome {
    let findtime = judge.jail.core_mut().find_time();
    let within = duration::format(Number::Int(findtime as i64));
    let Some((id, tries)) = harvest.furthest() else {
        return Sound("nobody fails".to_owned());
    };
    if tries.banned {
        let banned = harvest.tries.values().filter(|tries| tries.banned).count();
        return Sound(format!(
            "{banned} of {} fail often enough",
            harvest.tries.len()
        ));
    }
    let (why, cure) = too_few(judge, id, tries, &within);
    Wrong(format!("nobody fails often enough for a ban: {why}"), cure)
}

/// Why somebody's failures do not suffice.
pub fn too_few(judge: &LineJudge, id: &str, tries: Tries, within: &str) -> (String, String) {
    let Tries {
        failures,
        most,
        enough,
        ..
    } = tries;
    let most = (most * 10.0).round() / 10.0;
    let places = |option| judge.places.at(option);
    match i64::from(failures) >= enough {
        true => (
            format!(
                "{id} fails {failures} times, but at most {most} within {within} (findtime{}); {enough} are needed",
                places("findtime")
            ),
            "raise findtime in the jail if such slow tries are to be banned".to_owned(),
        ),
        false => (
            format!(
                "{} of {id} in {within}, {enough} are needed (maxretry{})",
                counted(failures as usize, "failure"),
                places("maxretry")
            ),
            "lower maxretry in the jail if that is to be enough".to_owned(),
        ),
    }
}
