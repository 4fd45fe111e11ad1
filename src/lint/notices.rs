//! Messages to web services that cannot be sent, for a setting that cannot be understood.

use super::{Findings, Severity};
use crate::action::plan::Way;
use crate::action::preview::DryAction;
use crate::config::Place;
use crate::control::{Command, JailCommand, JailSetting, Value};
use crate::sys::hosts::HostNames;

/// Looks at the commands that set the actions of a jail; `place` is where it names one of them.
pub(super) fn look(
    commands: &[Vec<Value>],
    place: &dyn Fn(&str) -> Option<Place>,
    findings: &mut Findings<'_>,
) {
    for words in commands {
        let Ok(Command::Jail {
            name: jail,
            command: JailCommand::Set(JailSetting::Action { name, properties }),
        }) = Command::parse(words)
        else {
            continue;
        };
        let mut action = DryAction::new(&name, HostNames::default());
        for (property, value) in &properties {
            // what is refused is told elsewhere
            let _ = action.set(property, value);
        }
        let examples = action.examples(&jail).into_iter().flatten();
        let mut refused = examples.filter_map(|example| match Way::of(&example.script) {
            Way::Notice(notice) => notice.err(),
            _ => None,
        });
        if let Some(error) = refused.next() {
            let text = format!("action {name}: a message cannot be sent: {error}");
            findings.add(Severity::Error, "message", place(&name), text);
        }
    }
}
