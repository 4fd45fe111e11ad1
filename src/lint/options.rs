//! Finds options and sections that nothing reads, and suggests the name that may have been meant.
#![forbid(unsafe_code)]

use super::names::{hint, nearest};
use super::written::WrittenOptions;
use super::{LintFindings, Severity};
use crate::config::error::Appended;
use crate::config::files::Files;
use crate::config::layers::Layers;
use crate::config::places::{ValueItem, header_of, line_of};
use crate::config::references::References;
use crate::config::section::Section;
use crate::config::settings::MergedSettings;
use crate::options::server::{METRICS, THREAD, WEB, WEB_SOCKET};
use crate::options::{OptionRow, action, jail, server};
use crate::python::text::quoted;

/// Options of jails.
pub(super) fn of_jails(
    settings: &MergedSettings,
    written: &WrittenOptions,
    findings: &mut LintFindings<'_>,
) {
    let mut references = References::default();
    references.add_all(settings);
    let known = names(jail::all());
    for name in settings.names().filter(|name| ***name != *"INCLUDES") {
        if let Some(section) = settings.section(name) {
            unread(section, &known, &references, written, findings);
        }
    }
    unread(&settings.defaults, &known, &references, written, findings);
}

/// Names that jails refer to and nobody defines, so that they are those of the shipped configuration.
pub(super) fn spare_names(
    files: &dyn Files,
    settings: &MergedSettings,
    findings: &mut LintFindings<'_>,
) {
    let sections = settings.names().filter_map(|name| settings.section(name));
    for section in sections.chain([&settings.defaults]) {
        for entry in section.values() {
            for part in entry.text.split("%(").skip(1) {
                let name = part.split(')').next().unwrap_or_default().to_lowercase();
                let defined =
                    section.contains_key(&*name) || settings.defaults.contains_key(&*name);
                let Some(value) = settings.spare.get(&*name).filter(|_| !defined) else {
                    continue;
                };
                let text = format!(
                    "{} is defined nowhere here and counts as {}{}",
                    quoted(&name),
                    quoted(&value.text),
                    Appended(value.origin.clone().map(Into::into).as_ref()),
                );
                let item = ValueItem {
                    text: &format!("%({name})s"),
                    ..ValueItem::default()
                };
                let place = entry
                    .origin
                    .as_ref()
                    .map(|origin| line_of(files, origin, item));
                findings.add(Severity::Note, "spare-name", place, text);
            }
        }
    }
}

/// Options of `fail2ban.conf`.
pub(super) fn of_server(
    files: &dyn Files,
    settings: &MergedSettings,
    written: &WrittenOptions,
    findings: &mut LintFindings<'_>,
) {
    let mut references = References::default();
    references.add_all(settings);
    let known = names(server::all());
    for name in settings.names() {
        let Some(section) = settings.section(name) else {
            continue;
        };
        match &**name {
            "INCLUDES" => {}
            "Definition" => unread(section, &known, &references, written, findings),
            "Thread" => unread(section, &names(THREAD), &references, written, findings),
            "metrics" => unread(section, &names(METRICS), &references, written, findings),
            "web" => {
                let known = names(WEB.iter().chain(WEB_SOCKET));
                unread(section, &known, &references, written, findings);
            }
            name if references.section(name) => {}
            name => unread_section(
                files,
                name,
                section,
                &["Definition", "Thread", "metrics", "web"],
                findings,
            ),
        }
    }
    unread(&settings.defaults, &known, &references, written, findings);
}

/// Options of filters and actions.
pub(super) fn of_definitions(
    layers: &mut Layers<'_>,
    jails: &MergedSettings,
    written: &WrittenOptions,
    findings: &mut LintFindings<'_>,
) {
    let files = layers.files();
    for (part, files_of_part, known) in [
        ("filter.d", &written.filters, names(jail::FILTER)),
        ("action.d", &written.actions, names(action::all())),
    ] {
        let sets: Vec<_> = files_of_part
            .keys()
            .filter_map(|name| layers.read(&format!("{part}/{name}")).ok()?)
            .collect();
        // What one file does not read another that includes it may.
        let mut references = References::default();
        references.add_all(jails);
        for set in &sets {
            references.add_all(set);
        }
        for set in &sets {
            let mut own = References::default();
            own.add_all(set);
            let any = own.anything();
            for name in set.names() {
                let Some(section) = set.section(name) else {
                    continue;
                };
                match &**name {
                    "INCLUDES" => {}
                    "Definition" | "Init" if any => {}
                    "Definition" | "Init" => {
                        unread(section, &known, &references, written, findings)
                    }
                    name if references.section(name) => {}
                    name => unread_section(files, name, section, &["Definition", "Init"], findings),
                }
            }
            if !any {
                unread(&set.defaults, &known, &references, written, findings);
            }
        }
    }
}

fn names(rows: impl IntoIterator<Item = &'static OptionRow>) -> Vec<&'static str> {
    rows.into_iter().map(|row| row.name).collect()
}

fn unread(
    section: &Section,
    known: &[&str],
    references: &References,
    written: &WrittenOptions,
    findings: &mut LintFindings<'_>,
) {
    for (name, entry) in section {
        let Some(origin) = &entry.origin else {
            continue;
        };
        let plain = name.split('?').next().unwrap_or(name);
        if known.contains(&plain) || references.option(plain) || plain.starts_with("known/") {
            continue;
        }
        // a name of the shipped files is none that was mistyped
        let is_known = written.is_shipped_name(plain);
        let meant = nearest(plain, known.iter().copied(), 2).or_else(|| {
            let names = references.names();
            nearest(
                plain,
                names.filter(|name| !written.side_by_side(plain, name)),
                1,
            )
        });
        let meant = meant.filter(|_| !is_known);
        let (severity, kind, text) = match meant {
            Some(_) => (Severity::Warning, "unknown-option", "unknown option"),
            None => (Severity::Note, "unread-option", "nothing reads the option"),
        };
        let text = format!("{text} {}{}", quoted(plain), hint(meant));
        findings.add(severity, kind, Some(origin.clone().into()), text);
    }
}

fn unread_section(
    files: &dyn Files,
    name: &str,
    section: &Section,
    known: &[&str],
    findings: &mut LintFindings<'_>,
) {
    let first = section.values().find_map(|entry| entry.origin.as_ref());
    let meant = nearest(name, known.iter().copied(), 2);
    let (severity, text) = match meant {
        Some(_) => (Severity::Warning, "unknown section"),
        None => (Severity::Note, "nothing reads the section"),
    };
    let place = first.map(|origin| header_of(files, origin).into());
    let text = format!("{text} [{name}]{}", hint(meant));
    findings.add(severity, "unknown-section", place, text);
}
