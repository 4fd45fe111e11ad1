//! What was found, what is in order, and what could not be looked at; as a text and as JSON.

use serde_json::{Value as Json, json};

use crate::cli::printable;
use crate::cli::setup::report::wrapped;
use crate::lint::Severity;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoctorFinding {
    /// How bad it is.
    pub severity: Severity,
    /// What kind of thing it is, one word for scripts.
    pub kind: &'static str,
    /// The jail it concerns.
    pub jail: Option<String>,
    /// What, in one sentence.
    pub message: String,
    /// What to do about it.
    pub cure: String,
}

/// All that was found.
#[derive(Debug, Default)]
pub struct DoctorFindings {
    /// What is wrong.
    pub list: Vec<DoctorFinding>,
    /// What is in order.
    sound: Vec<String>,
    /// What could not be looked at, and why.
    unseen: Vec<String>,
}

impl DoctorFindings {
    /// Adds a finding.
    pub fn add(
        &mut self,
        severity: Severity,
        kind: &'static str,
        message: impl Into<String>,
        cure: impl Into<String>,
    ) {
        let finding = DoctorFinding {
            severity,
            kind,
            jail: None,
            message: message.into(),
            cure: cure.into(),
        };
        if !self.list.contains(&finding) {
            self.list.push(finding);
        }
    }

    /// Adds a finding about a jail.
    pub fn of_jail(
        &mut self,
        jail: &str,
        severity: Severity,
        kind: &'static str,
        message: impl Into<String>,
        cure: impl Into<String>,
    ) {
        self.list.push(DoctorFinding {
            severity,
            kind,
            jail: Some(jail.to_owned()),
            message: message.into(),
            cure: cure.into(),
        });
    }

    /// Something is in order.
    pub fn sound(&mut self, text: impl Into<String>) {
        self.sound.push(text.into());
    }

    /// Something could not be looked at; several checks may have wanted it.
    pub fn unseen(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.unseen.contains(&text) {
            self.unseen.push(text);
        }
    }

    /// What could not be looked at.
    pub fn not_looked_at(&self) -> &[String] {
        &self.unseen
    }

    /// How bad the worst is.
    pub fn worst(&self) -> Option<Severity> {
        self.list.iter().map(|finding| finding.severity).max()
    }

    /// The worst first, each severity in the order in which things were looked at.
    pub fn sort(&mut self) {
        self.list
            .sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    }

    fn count(&self, severity: Severity) -> usize {
        let alike = self.list.iter().filter(|f| f.severity == severity);
        alike.count()
    }

    /// The text for people; with what is in order when `verbose`.
    pub fn shown(&self, verbose: bool) -> String {
        let mut out = String::new();
        for finding in &self.list {
            let text = format!("{}: {}", finding.severity.word(), finding.message);
            out.push_str(&wrapped(&printable(&text), "", "    "));
            out.push_str(&wrapped(&printable(&finding.cure), "    cure: ", "    "));
        }
        if verbose {
            for text in &self.sound {
                out.push_str(&wrapped(&printable(text), "ok: ", "    "));
            }
        }
        for text in &self.unseen {
            out.push_str(&wrapped(&printable(text), "not looked at: ", "    "));
        }
        let [errors, warnings, notes] =
            [Severity::Error, Severity::Warning, Severity::Note].map(|s| self.count(s));
        out.push_str(&format!(
            "{errors} errors, {warnings} warnings, {notes} notes"
        ));
        if !verbose && !self.sound.is_empty() {
            let sound = self.sound.len();
            out.push_str(&format!("; {sound} things are in order (-v names them)"));
        }
        out
    }

    /// The object for programs.
    pub fn json(&self) -> Json {
        let finding = |finding: &DoctorFinding| {
            json!({
                "severity": finding.severity.word(),
                "kind": finding.kind,
                "jail": finding.jail,
                "message": finding.message,
                "cure": finding.cure,
            })
        };
        json!({
            "errors": self.count(Severity::Error),
            "warnings": self.count(Severity::Warning),
            "notes": self.count(Severity::Note),
            "findings": self.list.iter().map(finding).collect::<Vec<_>>(),
            "in_order": self.sound,
            "not_looked_at": self.unseen,
        })
    }
}
