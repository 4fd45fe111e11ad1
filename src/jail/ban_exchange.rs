//! The peers that a jail exchanges bans with (fleet, CrowdSec), and the options for each.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::control::{CommandError, Value};

/// The way to and from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BanExchange {
    /// Other hosts, by the section `[fleet]`.
    Fleet,
    /// CrowdSec, by the section `[crowdsec]`.
    Crowdsec,
}

impl BanExchange {
    pub(super) const ALL: [BanExchange; 2] = [BanExchange::Fleet, BanExchange::Crowdsec];
}

/// The options `fleet` and `crowdsec` of a jail, and `fleet.minhosts`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExchangeMode {
    /// Its bans go to others.
    pub sends: bool,
    /// Their bans count here.
    pub receives: bool,
    /// So many of them have to say so; 0 is 1.
    pub hosts: usize,
}

impl ExchangeMode {
    /// Whether it has to do with others at all.
    pub fn takes_part(self) -> bool {
        self.sends || self.receives
    }

    /// Reads `off`, or `send` and `receive` in any order.
    pub(super) fn read(&mut self, option: &str, value: &Value) -> Result<(), CommandError> {
        let text = value.str();
        let (mut sends, mut receives) = (false, false);
        for word in text.split([',', ' ']).filter(|word| !word.is_empty()) {
            match word {
                "send" => sends = true,
                "receive" => receives = true,
                "off" => {}
                _ => {
                    let why = format!(
                        "Invalid {option} option {}, it is off, send, receive or both: send, receive",
                        value.repr()
                    );
                    return Err(CommandError::builtin("ValueError", why));
                }
            }
        }
        (self.sends, self.receives) = (sends, receives);
        Ok(())
    }

    /// The option as it is written.
    pub(super) fn words(self) -> &'static str {
        match (self.sends, self.receives) {
            (false, false) => "off",
            (true, false) => "send",
            (false, true) => "receive",
            (true, true) => "send, receive",
        }
    }
}

/// Modes that the handle of a jail sees change.
#[derive(Debug, Default)]
pub(super) struct SharedExchangeModes {
    fleet: SharedExchangeMode,
    crowdsec: SharedExchangeMode,
}

impl SharedExchangeModes {
    pub(super) fn of(&self, exchange: BanExchange) -> &SharedExchangeMode {
        match exchange {
            BanExchange::Fleet => &self.fleet,
            BanExchange::Crowdsec => &self.crowdsec,
        }
    }
}

/// One of them.
#[derive(Debug, Default)]
pub(super) struct SharedExchangeMode {
    sends: AtomicBool,
    receives: AtomicBool,
    hosts: AtomicUsize,
}

impl SharedExchangeMode {
    pub(super) fn get(&self) -> ExchangeMode {
        ExchangeMode {
            sends: self.sends.load(Ordering::Relaxed),
            receives: self.receives.load(Ordering::Relaxed),
            hosts: self.hosts.load(Ordering::Relaxed),
        }
    }

    pub(super) fn set(&self, mode: ExchangeMode) {
        self.sends.store(mode.sends, Ordering::Relaxed);
        self.receives.store(mode.receives, Ordering::Relaxed);
        self.hosts.store(mode.hosts, Ordering::Relaxed);
    }
}
