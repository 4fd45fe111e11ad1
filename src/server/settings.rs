//! `set` and `get` of the server's own settings: log, database, IPv6, thread options (facts P25–P30).

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::Server;
use super::loggers::TRANSMITTER;
use crate::control::{CommandError, Reply, Value};
use crate::datetime::duration;
use crate::evidence::memory;
use crate::msg;
use crate::options::server::{CROWDSEC_COMMAND, FLEET_COMMAND, THREAD_COMMAND, WEB_COMMAND};
use crate::store::{Store, StoreError};

impl Server {
    /// Sets an option of the server; answers the new value.
    pub(super) async fn set(&self, option: &'static str, value: Value) -> Reply {
        match option {
            "loglevel" => self.logging.set_level(&value.str())?,
            "logtarget" => self.logging.set_target(&value.str())?,
            "syslogsocket" => self.logging.set_syslog_socket(&value.str())?,
            "logformat" => self.logging.set_format(&value.str())?,
            "allowipv6" => {
                let allowed = match &value {
                    Value::Str(text) if text == "auto" => None,
                    value => Some(value.is_on()),
                };
                self.names.allow_ipv6(allowed);
                return Ok(value);
            }
            "dbfile" => self.set_database(&value.str()).await?,
            "dbmaxmatches" | "dbpurgeage" => {
                let Some(store) = self.store() else {
                    msg!(
                        TRANSMITTER,
                        "{option} setting was not in effect since no db yet"
                    );
                    return Ok(Value::None);
                };
                match option {
                    "dbmaxmatches" => store.set_max_matches(value.to_int()?),
                    _ => store.set_purge_age(seconds(&value)?),
                }
            }
            "memory" => self.evidence.set_limit(memory::size(&value)?),
            THREAD_COMMAND => return self.set_thread_options(&value),
            FLEET_COMMAND => return self.set_fleet(&value),
            WEB_COMMAND => return self.set_web(&value),
            CROWDSEC_COMMAND => return self.set_crowdsec(&value),
            other => return Err(unknown(other)),
        }
        self.get(option)
    }

    /// Answers an option of the server.
    pub(super) fn get(&self, option: &'static str) -> Reply {
        Ok(match option {
            "loglevel" => self.logging.level().into(),
            "logtarget" => self.logging.target().into(),
            "syslogsocket" => self.logging.syslog_socket().into(),
            "logformat" => self.logging.format().into(),
            "dbfile" => self.store().map(|store| store.path()).into(),
            "dbmaxmatches" => self.store().map(|store| store.max_matches()).into(),
            "dbpurgeage" => match self.store().map(|store| store.purge_age()) {
                Some(age) if age.fract() == 0.0 && age.abs() < 1e15 => Value::Int(age as i64),
                Some(age) => Value::Float(age),
                None => Value::None,
            },
            "memory" => Value::Int(i64::try_from(self.evidence.limit()).unwrap_or(i64::MAX)),
            THREAD_COMMAND => {
                let stack_size = self.state().stack_size;
                Value::Dict(vec![("stacksize".into(), Value::Int(stack_size))])
            }
            other => return Err(unknown(other)),
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
            let store = opened.map_err(database_error)?;
            self.common
                .refcounts
                .inherited()
                .expect(store.installed().await);
            Some(store)
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

/// An option that has a row and is not known here.
fn unknown(option: &str) -> CommandError {
    CommandError::new(format!("Invalid command (no option {option})"))
}

fn seconds(value: &Value) -> Result<f64, CommandError> {
    match value.as_str() {
        Some(text) => Ok(duration::parse(text)?.as_f64()),
        None => Ok(value.to_float()?),
    }
}
