//! Reports every setting of a jail with its final value and where it was written.
#![forbid(unsafe_code)]

use std::collections::HashSet;

use super::super::definition::ValueSource;
use super::super::error::{Cause, ConfigPlace};
use super::super::files::Files;
use super::super::layers::Layers;
use super::super::places::ValueItem;
use super::super::settings::{KNOWN, MergedSettings, Setting, Vars};
use super::{JailConfig, ReadExtent, place_in};
use crate::control::Value;
use crate::options::jail::names;

/// A setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportRow {
    /// Its name.
    pub name: String,
    /// Its final value.
    pub value: String,
    /// Where it was written; `None` when nobody wrote it.
    pub place: Option<ConfigPlace>,
}

/// A filter or an action of the jail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportPart {
    /// As the jail names it, with its arguments.
    pub definition: String,
    /// Its settings.
    pub rows: Vec<ReportRow>,
}

/// A jail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JailReport {
    /// Whether it is enabled.
    pub enabled: bool,
    /// What the program reads of it.
    pub rows: Vec<ReportRow>,
    /// Options that only serve others: those of the section, and of all jails those it uses.
    pub variables: Vec<ReportRow>,
    /// Its filter.
    pub filter: Option<ReportPart>,
    /// Its actions in order.
    pub actions: Vec<ReportPart>,
    /// What keeps it from being used.
    pub error: Option<String>,
}

/// Reads a jail, enabled or not.
///
/// # Errors
/// No such jail; files that cannot be read; references that lead nowhere.
pub fn report(files: &dyn Files, base: &str, name: &str) -> Result<JailReport, Cause> {
    let mut layers = Layers::new(files, base)?;
    let settings = layers.read_jails()?;
    let settings =
        settings.ok_or_else(|| Cause::Unreadable("Read jails configuration failed.".to_owned()))?;
    let mut settings = (*settings).clone();
    super::add_defaults(&mut settings, layers.base());
    let extent = ReadExtent {
        force: true,
        arguments: None,
        ..ReadExtent::default()
    };
    let jail = super::read(&mut layers, &mut settings, name, extent)?;
    let mut jail = jail.unwrap_or_default();
    let around = ReportContext {
        files,
        settings: &settings,
        jail: name,
    };
    Ok(JailReport {
        enabled: jail.options.get("enabled") == Some(&Setting::Flag(true)),
        rows: around.rows(&jail),
        variables: around.variables(),
        filter: around.filter(&mut jail, &mut layers)?,
        actions: around.actions(&mut jail, &mut layers)?,
        error: jail.error,
    })
}

/// What a jail was read from.
struct ReportContext<'a> {
    files: &'a dyn Files,
    settings: &'a MergedSettings,
    jail: &'a str,
}

impl ReportContext<'_> {
    fn place(&self, option: &str, text: &str) -> Option<ConfigPlace> {
        let item = ValueItem {
            text,
            ..ValueItem::default()
        };
        place_in(self.settings, self.jail, option, item, self.files)
    }

    fn rows(&self, jail: &JailConfig) -> Vec<ReportRow> {
        let known = names().filter_map(|name| {
            let value = jail.options.get(name)?;
            Some(ReportRow {
                name: name.to_owned(),
                value: value.text().into_owned(),
                place: self.place(name, ""),
            })
        });
        known.collect()
    }

    fn variables(&self) -> Vec<ReportRow> {
        let own = self.settings.section(self.jail).into_iter().flatten();
        let own: Vec<_> = own.collect();
        let is_own = |name: &str| own.iter().any(|(known, _)| ***known == *name);
        let used = self.used();
        let spare = self.settings.spare.iter();
        let spare = spare.filter(|(name, _)| !self.settings.defaults.contains_key(*name));
        let of_all = self.settings.defaults.iter().chain(spare);
        let of_all = of_all.filter(|(name, _)| !is_own(name) && used.contains(&***name));
        let all = own.iter().copied().chain(of_all);
        let variables = all.filter(|(name, entry)| {
            let is_known = names().any(|known| *known == ***name) || name.starts_with("known/");
            !is_known && entry.origin.is_some() && !name.starts_with(KNOWN)
        });
        variables
            .map(|(name, _)| {
                let value = self.settings.get(self.jail, name, &Vars::default());
                ReportRow {
                    name: name.to_string(),
                    value: match value {
                        Ok(value) => value.unwrap_or_default().to_string(),
                        Err(cause) => format!("({cause})"),
                    },
                    place: self.place(name, ""),
                }
            })
            .collect()
    }

    /// Names that the options of the jail refer to, and what these refer to in turn.
    fn used(&self) -> HashSet<String> {
        let mut used = HashSet::new();
        let mut waiting: Vec<String> = names().map(str::to_owned).collect();
        while let Some(name) = waiting.pop() {
            let entry = self.settings.entry(self.jail, &name);
            let text = entry.map(|entry| entry.text.clone()).unwrap_or_default();
            for part in text.split("%(").skip(1) {
                let reference = part.split(')').next().unwrap_or_default();
                let option = reference.rsplit('/').next().unwrap_or_default();
                let option = option.to_lowercase();
                if used.insert(option.clone()) {
                    waiting.push(option);
                }
            }
        }
        used
    }

    fn of_source(
        &self,
        source: ValueSource,
        option: &str,
        definition: &str,
    ) -> Option<ConfigPlace> {
        match source {
            ValueSource::File(origin) => Some(origin.into()),
            ValueSource::Argument => self.place(option, definition),
            ValueSource::Program => None,
        }
    }

    fn filter(
        &self,
        jail: &mut JailConfig,
        layers: &mut Layers<'_>,
    ) -> Result<Option<ReportPart>, Cause> {
        let definition = jail.text("filter");
        let Some(filter) = &mut jail.filter else {
            return Ok(None);
        };
        let options = filter.combined(&mut layers.messages)?;
        let rows = options
            .iter()
            .filter(|(name, _)| !name.starts_with("known/"))
            .map(|(name, value)| ReportRow {
                name: name.to_string(),
                value: value.text().into_owned(),
                place: self.of_source(filter.source(name), "filter", &definition),
            });
        Ok(Some(ReportPart {
            rows: rows.collect(),
            definition,
        }))
    }

    fn actions(
        &self,
        jail: &mut JailConfig,
        layers: &mut Layers<'_>,
    ) -> Result<Vec<ReportPart>, Cause> {
        let mut parts = Vec::new();
        for (definition, action) in &mut jail.actions {
            let commands = action.commands(&mut layers.messages)?;
            // `addaction` says the name, what follows sets properties, one or several.
            let properties = match commands.get(1).map(|words| words.get(4..)) {
                Some(Some([Value::List(pairs)])) => pairs
                    .iter()
                    .filter_map(|pair| match pair.as_slice()? {
                        [name, value] => Some((name, value)),
                        _ => None,
                    })
                    .collect(),
                Some(Some([name, value])) => vec![(name, value)],
                _ => Vec::new(),
            };
            let rows = properties.into_iter().map(|(name, value)| {
                let name = name.str().into_owned();
                ReportRow {
                    place: self.of_source(action.source(&name), "action", definition),
                    value: value.str().into_owned(),
                    name,
                }
            });
            parts.push(ReportPart {
                rows: rows.collect(),
                definition: definition.clone(),
            });
        }
        Ok(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::files::memory::MemoryFiles;
    use super::*;

    const FILES: [(&str, &str); 4] = [
        (
            "/c/jail.conf",
            "[DEFAULT]\nbackend = polling\nport = 1\nmaxretry = 5\nq = %(r)s\nr = 3\ns = 4\n[j]\nfilter = f[w=W]\n\
             action = a[x=\"%(port)s\", z=%(Q)s]\n",
        ),
        ("/c/jail.local", "[j]\nport = 2\nbantime = %(port)s0\n"),
        (
            "/c/filter.d/f.conf",
            "[Definition]\nfailregex = ^<w> <v> <HOST>\n[Init]\nv = V\n",
        ),
        (
            "/c/action.d/a.conf",
            "[Definition]\nactionban = ban <x> <y>\n[Init]\nx = 0\ny = Y\n",
        ),
    ];

    fn shown(rows: &[ReportRow]) -> Vec<String> {
        rows.iter()
            .map(|row| {
                let origin = row.place.as_ref().map(|place| place.origin.to_string());
                format!("{}={} {}", row.name, row.value, origin.unwrap_or_default())
            })
            .collect()
    }

    #[test]
    fn every_setting_with_its_origin() {
        let report = report(&MemoryFiles::new(&FILES), "/c", "j").unwrap();
        assert!(!report.enabled);
        assert_eq!(report.error, None);
        let rows = shown(&report.rows);
        for expected in [
            "enabled=False ",
            "backend=polling /c/jail.conf:2",
            "maxretry=5 /c/jail.conf:4",
            "bantime=20 /c/jail.local:3",
            "filter=f[w=W] /c/jail.conf:9",
        ] {
            assert!(rows.contains(&expected.to_owned()), "{expected}: {rows:?}");
        }
        assert_eq!(
            shown(&report.variables),
            [
                "port=2 /c/jail.local:2",
                "q=3 /c/jail.conf:5",
                "r=3 /c/jail.conf:6"
            ]
        );
        let filter = shown(&report.filter.unwrap().rows);
        assert_eq!(
            filter,
            [
                "failregex=^W V <HOST> /c/filter.d/f.conf:2",
                "w=W /c/jail.conf:9",
                "logtype=file ",
                "v=V /c/filter.d/f.conf:4",
            ]
        );
        let action = shown(&report.actions[0].rows);
        for expected in [
            "actionban=ban 2 Y /c/action.d/a.conf:2",
            "x=2 /c/jail.conf:10",
            "y=Y /c/action.d/a.conf:5",
        ] {
            assert!(action.contains(&expected.to_owned()), "{action:?}");
        }
    }

    #[test]
    fn mistakes() {
        let error = report(&MemoryFiles::new(&FILES), "/c", "none").unwrap_err();
        assert_eq!(error.to_string(), "No section: 'none'");
        let mut files = FILES.to_vec();
        files.push(("/c/jail.d/x.local", "[j]\nfilter = g\n"));
        let report = report(&MemoryFiles::new(&files), "/c", "j").unwrap();
        assert_eq!(report.error.unwrap(), "Unable to read the filter 'g'");
    }
}
