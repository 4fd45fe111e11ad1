//! Finds messages to web services that cannot be sent because of an invalid setting.

use super::{LintFindings, Severity};
use crate::config::ConfigPlace;
use crate::control::Value;
use crate::jail::validator::unsendable;

/// Looks at the commands that set the actions of a jail; `place` is where it names one of them.
pub(super) fn look(
    commands: &[Vec<Value>],
    place: &dyn Fn(&str) -> Option<ConfigPlace>,
    findings: &mut LintFindings<'_>,
) {
    for fault in unsendable(commands) {
        let words = &commands[fault.command];
        let action = words.get(3).and_then(Value::as_str).unwrap_or_default();
        findings.add(Severity::Error, "message", place(action), fault.text);
    }
}
