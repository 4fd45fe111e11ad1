//! Checks filters and actions that no enabled jail uses: whether they would work, and whether they are used at
//! all.
#![forbid(unsafe_code)]

use super::jails::{Used, place_in_file, risks};
use super::written::WrittenOptions;
use super::{LintFindings, Severity, first_line, injection};
use crate::config::Cause;
use crate::config::error::ConfigMessages;
use crate::config::filter::FilterConfig;
use crate::config::layers::Layers;
use crate::config::places::ValueItem;
use crate::config::settings::Options;
use crate::control::Value;
use crate::jail::validator;
use crate::python::text::quoted;

/// Looks at what the jails have left.
pub(super) fn look(
    layers: &mut Layers<'_>,
    written: &WrittenOptions,
    used: &Used,
    findings: &mut LintFindings<'_>,
) {
    for (name, path) in &written.filters {
        // What others include need not stand alone.
        if !used.looked.contains(name)
            && !is_included(written, path)
            && let Err(cause) = filter(layers, name, findings)
        {
            findings.cause(Severity::Warning, &cause, Some(first_line(path)), None);
        }
        if !used.filters.contains(name) && !is_included(written, path) {
            let text = format!("no jail uses the filter {}", quoted(name));
            findings.add(Severity::Note, "unused", Some(first_line(path)), text);
        }
    }
    for (name, path) in &written.actions {
        if !used.actions.contains(name) && !is_included(written, path) {
            let text = format!("no jail uses the action {}", quoted(name));
            findings.add(Severity::Note, "unused", Some(first_line(path)), text);
        }
    }
}

fn is_included(written: &WrittenOptions, path: &str) -> bool {
    written.included.contains(path)
}

/// Tries the regexes of a filter as they are without a jail. Arguments may be missing, so that what
/// is wrong is a warning at most.
fn filter(
    layers: &mut Layers<'_>,
    name: &str,
    findings: &mut LintFindings<'_>,
) -> Result<(), Cause> {
    let Some(mut filter) = FilterConfig::open(layers, name, name, Options::default())? else {
        return Ok(());
    };
    let mut unheard = ConfigMessages::default();
    filter.set_backend("auto");
    filter.read(&Options::default(), false, &mut unheard)?;
    let mut commands: Vec<Vec<Value>> = vec![vec!["add".into(), name.into(), "auto".into()]];
    commands.extend(filter.commands(&mut unheard)?);
    let place = |command: usize, number: usize| {
        let words = commands.get(command)?;
        let option = words.get(2)?.as_str()?;
        let values = match words.get(3) {
            Some(Value::List(list)) => list.as_slice(),
            _ => words.get(3..)?,
        };
        let item = ValueItem {
            number,
            of: values.len(),
            text: values
                .get(number)
                .and_then(Value::as_str)
                .unwrap_or_default(),
        };
        let option = option.strip_prefix("add").unwrap_or(option);
        place_in_file(layers, filter.source(option), item)
    };
    for fault in validator::faults(&commands) {
        let place = place(fault.command, fault.item);
        findings.fault(Severity::Warning, place, &fault, &commands);
    }
    risks(&commands, &place, findings);
    injection::look(&commands, &place, Severity::Note, findings);
    Ok(())
}
