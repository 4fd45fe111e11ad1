//! Feeds lines of a source through the filter of a jail.
//!
//! In: chunks of a log, batches of a journal. Out: failures, to be judged. Jails that watch the same log
//! share work through the shelf of a chunk: decoded lines for all of them, dates for those whose
//! detectors are in the same state, and matches for those with the same regexes.

use std::sync::Arc;

use tokio::sync::OnceCell;

use super::pending::{FailureOrigin, PendingFailure};
use super::task::JailTask;
use crate::address::Address;
use crate::clock::now;
use crate::datetime::Stand;
use crate::evidence::Evidence;
use crate::filter::{
    Clock, Failure, FailureId, Filter, FilterSignature, LineBlock, LineDates, Survey, is_told,
};
use crate::python::encoding::Encoding;
use crate::source::journal::EntryBatch;
use crate::source::{Chunk, Shelf};
use crate::ticket::{Ticket, Timestamp};

/// The lines of a chunk. Whoever waits for them, or for what follows, does not keep a thread from
/// other work.
struct Decoded {
    encoding: Encoding,
    jsonmatch: String,
    lines: OnceCell<LineBlock<'static>>,
}

/// Their dates.
struct Dated {
    decoded: Arc<Decoded>,
    stand: Stand,
    dates: OnceCell<Arc<LineDates>>,
}

/// What jails of one signature find in them.
struct Surveyed {
    decoded: Arc<Decoded>,
    dates: Arc<LineDates>,
    signature: Arc<FilterSignature>,
    survey: OnceCell<Survey>,
}

impl JailTask {
    /// All lines of a chunk through the filter, then its failures to the judge.
    pub(super) async fn take_chunk(&mut self, chunk: &Chunk) {
        if let Some(in_operation) = self.intake.logs().begin(chunk) {
            let clock = self.core.clock(now(), in_operation);
            match (&chunk.shelf, self.intake.logs().encoding(chunk).cloned()) {
                _ if is_told() => self.take_told(chunk, &clock),
                (Some(shelf), Some(encoding)) if !chunk.data.is_empty() => {
                    self.take_shared(chunk, shelf, encoding, &clock).await;
                }
                _ => self.take_alone(chunk, &clock),
            }
            self.intake.logs().taken(chunk);
        }
        self.judge_pending();
    }

    fn take_alone(&mut self, chunk: &Chunk, clock: &Clock) {
        let lines = self.intake.logs().lines(chunk, self.core.encoding());
        let JailTask { core, pending, .. } = self;
        core.lines += lines.len() as u64;
        let lines = core.filter.form(lines);
        let dates = core.filter.date_lines(&lines, clock.now);
        let each = |failure| pending.push(log_failure(failure));
        core.filter.examine_lines(&lines, &dates, clock, each);
    }

    /// Line by line, each followed by what comes of it, as the log is to tell of every step.
    fn take_told(&mut self, chunk: &Chunk, clock: &Clock) {
        let lines = self.intake.logs().lines(chunk, self.core.encoding());
        let lines = lines.into_owned();
        self.core.lines += lines.len() as u64;
        for index in 0..lines.len() {
            self.take_line(lines.line(index), None, clock);
            self.judge_pending();
        }
    }

    fn take_line(&mut self, line: &str, date: Option<(&str, Timestamp)>, clock: &Clock) {
        let filter = &mut self.core.filter;
        if is_told() {
            filter.tell_line(line);
        }
        let failures = filter.process_line(line, date, clock);
        if is_told() {
            filter.tell_search(false);
        }
        for failure in failures {
            self.pending.push(log_failure(failure));
        }
    }

    async fn take_shared(
        &mut self,
        chunk: &Chunk,
        shelf: &Shelf,
        encoding: Encoding,
        clock: &Clock,
    ) {
        let JailTask {
            core,
            intake,
            pending,
            ..
        } = self;
        let jsonmatch = core.filter.jsonmatch().to_owned();
        let decoded = shelf.find(
            |one: &Decoded| one.encoding == encoding && one.jsonmatch == jsonmatch,
            || Decoded {
                encoding: encoding.clone(),
                jsonmatch: jsonmatch.clone(),
                lines: OnceCell::new(),
            },
        );
        let decode = async || {
            let lines = intake.logs().lines(chunk, core.encoding());
            core.filter.form(lines).into_owned()
        };
        let lines = decoded.lines.get_or_init(decode).await;
        core.lines += lines.len() as u64;
        let dates = date(&mut core.filter, shelf, &decoded, lines, clock.now).await;
        let mut each = |failure| pending.push(log_failure(failure));

        let Some(signature) = core.filter.signature() else {
            return core.filter.examine_lines(lines, &dates, clock, each);
        };
        let surveyed = shelf.find(
            |one: &Surveyed| {
                Arc::ptr_eq(&one.decoded, &decoded)
                    && one.signature == signature
                    && one.dates.cuts_like(&dates)
            },
            || Surveyed {
                decoded: decoded.clone(),
                dates: dates.clone(),
                signature: signature.clone(),
                survey: OnceCell::new(),
            },
        );
        let mut leads = false;
        let survey = surveyed.survey.get_or_init(async || {
            leads = true;
            core.filter.survey(lines, &dates, clock, &mut each)
        });
        let survey = survey.await;
        if !leads {
            core.filter.follow(lines, &dates, survey, clock, each);
        }
    }

    /// All entries of a batch through the filter, likewise.
    pub(super) fn take_batch(&mut self, batch: EntryBatch) {
        let Some(in_operation) = self.intake.journal_in_operation() else {
            return;
        };
        let clock = self.core.clock(now(), in_operation);
        self.core.lines += batch.entries.len() as u64;
        for entry in &batch.entries {
            let date = Some((entry.date.as_str(), entry.time));
            self.take_line(&entry.line, date, &clock);
        }
        self.intake.batch_taken(batch);
        self.judge_pending();
    }
}

/// The dates of lines: another's, where that had to come to the same.
async fn date(
    filter: &mut Filter,
    shelf: &Shelf,
    decoded: &Arc<Decoded>,
    lines: &LineBlock<'_>,
    now: Timestamp,
) -> Arc<LineDates> {
    let Some(stand) = filter.stand(now) else {
        return Arc::new(filter.date_lines(lines, now));
    };
    let dated = shelf.find(
        |one: &Dated| Arc::ptr_eq(&one.decoded, decoded) && one.stand.is_like(&stand),
        || Dated {
            decoded: decoded.clone(),
            stand: stand.clone(),
            dates: OnceCell::new(),
        },
    );
    let mut leads = false;
    let dates = dated.dates.get_or_init(async || {
        leads = true;
        Arc::new(filter.date_lines(lines, now))
    });
    let dates = dates.await.clone();
    match leads || filter.follow_dates(&dates, now) {
        true => dates,
        false => Arc::new(filter.date_lines(lines, now)),
    }
}

fn log_failure(failure: Failure) -> PendingFailure {
    let id = match &failure.id {
        FailureId::Address(id) => id.clone(),
        FailureId::Name(name) => Address::raw(name.as_str()),
    };
    let mut ticket = Ticket::new(id, failure.time);
    ticket.evidence = Evidence::new(&failure.fields, &failure.matches);
    PendingFailure::new(FailureOrigin::Log, failure.id, ticket)
}
