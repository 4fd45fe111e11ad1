//! A bar on the terminal for input that takes a while.

use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::source::compressed::ByteMeter;

/// What is done sooner needs no bar.
const PATIENCE: Duration = Duration::from_secs(1);

/// How far some files have been read, shown on standard error.
#[derive(Debug)]
pub struct Progress {
    /// `None`: nobody would see it.
    bar: Option<ProgressBar>,
    meter: ByteMeter,
    begun: Instant,
    visible: bool,
    last: u64,
}

impl Progress {
    /// For the files that `meter` counts; `wanted` is false where a bar would be in the way.
    pub fn new<'a>(
        paths: impl IntoIterator<Item = &'a str>,
        meter: &ByteMeter,
        wanted: bool,
    ) -> Progress {
        let shown = wanted && io::stderr().is_terminal();
        let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {eta}");
        let bar = style.ok().filter(|_| shown).map(|style| {
            let size = |path: &str| std::fs::metadata(path).map_or(0, |data| data.len());
            let total = paths.into_iter().map(size).sum();
            ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden())
                .with_style(style)
        });
        Progress {
            bar,
            meter: meter.clone(),
            begun: Instant::now(),
            visible: false,
            last: 0,
        }
    }

    /// Shows how far it is by now; costs next to nothing while nothing more has been read.
    pub fn tick(&mut self) {
        let Some(bar) = &self.bar else { return };
        let read = self.meter.bytes();
        if read == self.last {
            return;
        }
        self.last = read;
        if !self.visible && self.begun.elapsed() > PATIENCE {
            self.visible = true;
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        bar.set_position(read);
    }

    /// All is read; the bar goes away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
