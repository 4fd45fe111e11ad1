//! `set` and `get` of the server itself: log, database, IPv6, thread options (facts P25–P30).

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::Server;
use super::server_log::TRANSMITTER;
use crate::control::{CommandError, GlobalOption, GlobalSetting, Reply, Value};
use crate::datetime::duration;
use crate::evidence::memory;
use crate::msg;
use crate::store::{Store, StoreError};

impl Server {
    /// Carries out a global `set`; answers the new value.
    pub(super) async fn set(&self, setting: GlobalSetting) -> Reply {
        match setting {
            GlobalSetting::LogLevel(level) => {
                self.logging.set_level(&level)?;
                self.get(GlobalOption::LogLevel)
            }
            GlobalSetting::LogTarget(target) => {
                self.logging.set_target(&target)?;
                self.get(GlobalOption::LogTarget)
            }
            GlobalSetting::SyslogSocket(path) => {
                self.logging.set_syslog_socket(&path)?;
                self.get(GlobalOption::SyslogSocket)
            }
            GlobalSetting::AllowIpv6(value) => {
                let allowed = match &value {
                    Value::Str(text) if text == "auto" => None,
                    value => Some(value.is_on()),
                };
                self.names.allow_ipv6(allowed);
                Ok(value)
            }
            GlobalSetting::DbFile(path) => {
                self.set_database(&path).await?;
                self.get(GlobalOption::DbFile)
            }
            GlobalSetting::DbMaxMatches(count) => {
                let Some(store) = self.store() else {
                    msg!(
                        TRANSMITTER,
                        "dbmaxmatches setting was not in effect since no db yet"
                    );
                    return Ok(Value::None);
                };
                store.set_max_matches(count.to_int()?);
                self.get(GlobalOption::DbMaxMatches)
            }
            GlobalSetting::DbPurgeAge(age) => {
                let Some(store) = self.store() else {
                    msg!(
                        TRANSMITTER,
                        "dbpurgeage setting was not in effect since no db yet"
                    );
                    return Ok(Value::None);
                };
                store.set_purge_age(seconds(&age)?);
                self.get(GlobalOption::DbPurgeAge)
            }
            GlobalSetting::Memory(size) => {
                self.evidence.set_limit(memory::size(&size)?);
                self.get(GlobalOption::Memory)
            }
            GlobalSetting::Thread(options) => self.set_thread_options(&options),
        }
    }

    /// Answers a global `get`.
    pub(super) fn get(&self, option: GlobalOption) -> Reply {
        Ok(match option {
            GlobalOption::LogLevel => self.logging.level().into(),
            GlobalOption::LogTarget => self.logging.target().into(),
            GlobalOption::SyslogSocket => self.logging.syslog_socket().into(),
            GlobalOption::DbFile => self.store().map(|store| store.path()).into(),
            GlobalOption::DbMaxMatches => self.store().map(|store| store.max_matches()).into(),
            GlobalOption::DbPurgeAge => match self.store().map(|store| store.purge_age()) {
                Some(age) if age.fract() == 0.0 && age.abs() < 1e15 => Value::Int(age as i64),
                Some(age) => Value::Float(age),
                None => Value::None,
            },
            GlobalOption::Memory => {
                Value::Int(i64::try_from(self.evidence.limit()).unwrap_or(i64::MAX))
            }
            GlobalOption::Thread => {
                let stack_size = self.state().stack_size;
                Value::Dict(vec![("stacksize".into(), Value::Int(stack_size))])
            }
        })
    }

    /// Opens another database, or none; only while there are no jails.
    async fn set_database(&self, path: &str) -> Result<(), CommandError> {
        let none = path.eq_ignore_ascii_case("none");
        match self.store() {
            Some(store) if store.path() == path => return Ok(()),
            None if none => return Ok(()),
            _ => {}
        }
        if self.jails.len() != 0 {
            return Err(CommandError::builtin(
                "RuntimeError",
                "Cannot change database when there are jails present",
            ));
        }
        let new = if none {
            None
        } else {
            match make_directory_of(Path::new(path)) {
                // a full or read-only disk: the store says so, and goes on in memory
                Err(e) if e.class == ("builtins", "OSError") => {}
                made => made?,
            }
            let path = path.to_owned();
            let opened = tokio::task::spawn_blocking(move || Store::open(Path::new(&path))).await;
            let opened = opened.map_err(|e| CommandError::new(e.to_string()))?;
            Some(opened.map_err(database_error)?)
        };
        let old = std::mem::replace(&mut self.state().store, new);
        if let Some(old) = old {
            old.close().await;
        }
        Ok(())
    }

    /// The stack size is remembered and told, but this program has no use for it.
    fn set_thread_options(&self, options: &Value) -> Reply {
        let Value::Dict(options) = options else {
            return Err(CommandError::builtin(
                "AttributeError",
                format!("'{}' object has no attribute 'items'", options.type_name()),
            ));
        };
        for (option, value) in options {
            if option.as_str() != Some("stacksize") {
                return Err(CommandError::builtin(
                    "KeyError",
                    format!("unknown option {}", option.repr()),
                ));
            }
            self.state().stack_size = value.to_int()?;
        }
        Ok(Value::None)
    }
}

/// Creates the directory of a file that is named absolutely.
///
/// # Errors
/// As Python's `mkdir` would put it.
pub(super) fn make_directory_of(file: &Path) -> Result<(), CommandError> {
    let Some(directory) = file.parent().filter(|directory| directory.is_absolute()) else {
        return Ok(());
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o777)
        .create(directory)
        .map_err(|e| CommandError::file(&e, &directory.display().to_string()))
}

/// Python's classes, because clients print the text and tell the classes apart.
fn database_error(e: StoreError) -> CommandError {
    match e {
        StoreError::Unusable(why) | StoreError::Inaccessible(why) => CommandError {
            class: ("sqlite3", "OperationalError"),
            args: vec![why.into()],
        },
        StoreError::FutureVersion => CommandError::builtin("NotImplementedError", e.to_string()),
    }
}

fn seconds(value: &Value) -> Result<f64, CommandError> {
    match value.as_str() {
        Some(text) => Ok(duration::parse(text)?.as_f64()),
        None => Ok(value.to_float()?),
    }
}
