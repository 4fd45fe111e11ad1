//! Lines on their way from a source through the filter of a jail to its judge.
//!
//! In: chunks of a log, batches of a journal. Out: the cases of the failures in them. Jails that
//! watch the same log in the same way find the same in its lines: the first one to come to a chunk
//! leaves on its shelf what its regexes have found, and the others need not look for themselves.

use encoding_rs::Encoding;
use tokio::sync::OnceCell;

use super::inquiry::{Case, Origin};
use super::task::{Task, now};
use crate::address::Address;
use crate::filter::{Failure, FailureId, Signature, Survey};
use crate::source::journal::Batch;
use crate::source::{Chunk, Shelf};
use crate::ticket::Ticket;

/// What jails of one signature find in a chunk.
struct Shared {
    encoding: &'static Encoding,
    signature: Signature,
    /// Whoever waits for it does not keep a thread from other work.
    survey: OnceCell<Survey>,
}

impl Task {
    /// All lines of a chunk through the filter, then its failures to the judge.
    pub(super) async fn take_chunk(&mut self, chunk: &Chunk) {
        match &chunk.shelf {
            Some(shelf) if !chunk.data.is_empty() => self.take_shared(chunk, shelf).await,
            _ => self.take_alone(chunk),
        }
        self.judge_cases();
    }

    fn take_alone(&mut self, chunk: &Chunk) {
        let now = now();
        let Task {
            core, logs, cases, ..
        } = self;
        let encoding = core.encoding().to_owned();
        logs.lines(chunk, &encoding, |line, in_operation| {
            let failures = core
                .filter
                .process_line(line, None, &core.clock(now, in_operation));
            cases.extend(failures.into_iter().map(log_case));
        });
    }

    async fn take_shared(&mut self, chunk: &Chunk, shelf: &Shelf) {
        let Task {
            core, logs, cases, ..
        } = self;
        let (Some(encoding), Some(signature)) = (logs.encoding(chunk), core.filter.signature())
        else {
            return self.take_alone(chunk);
        };
        let shared = shelf.find(
            |shared: &Shared| shared.encoding == encoding && shared.signature == signature,
            || Shared {
                encoding,
                signature: signature.clone(),
                survey: OnceCell::new(),
            },
        );
        let mut surveyed = false;
        let survey = shared.survey.get_or_init(async || {
            surveyed = true;
            let now = now();
            let mut survey = Survey::new(chunk.data.len());
            let name = core.encoding().to_owned();
            logs.lines(chunk, &name, |line, in_operation| {
                let clock = core.clock(now, in_operation);
                let failures = core.filter.survey_line(line, &clock, &mut survey);
                cases.extend(failures.into_iter().map(log_case));
            });
            survey
        });
        let survey = survey.await;
        if surveyed {
            return;
        }
        let now = now();
        if let Some(in_operation) = logs.begin(chunk) {
            let clock = core.clock(now, in_operation);
            for index in 0..survey.len() {
                let failures = core.filter.follow_line(survey, index, &clock);
                // nearly always
                if !failures.is_empty() {
                    cases.extend(failures.into_iter().map(log_case));
                }
            }
            logs.taken(chunk);
        }
    }

    /// All entries of a batch through the filter, likewise.
    pub(super) fn take_batch(&mut self, batch: Batch) {
        let Some(journal) = &mut self.journal else {
            return;
        };
        let now = now();
        for entry in &batch.entries {
            let date = Some((entry.date.as_str(), entry.time));
            let clock = self.core.clock(now, journal.in_operation());
            let failures = self.core.filter.process_line(&entry.line, date, &clock);
            self.cases.extend(failures.into_iter().map(log_case));
        }
        journal.taken(batch);
        self.judge_cases();
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
