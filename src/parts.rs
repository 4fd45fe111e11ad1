//! Parts of the library that tests, benchmarks, examples and fuzz targets use. Not a public interface: it
//! changes with the program.
#![allow(missing_docs)]

pub mod action {
    pub use crate::action::{Actions, Common, JailFigures, Order, Query};
    pub mod ban_times {
        pub use crate::action::ban_times::BanTimeCounts;
    }
    pub mod info {
        pub use crate::action::info::{BEYOND, TAGS};
    }
    pub mod plan {
        pub use crate::action::plan::Plan;
    }
    pub mod preview {
        pub use crate::action::preview::ActionPreview;
    }
    pub mod tags {
        pub use crate::action::tags::{
            PropertyTexts, replace_dynamic, replace_static, resolve_properties,
        };
    }
}
pub mod address {
    pub use crate::address::Address;
}
pub mod cli {
    pub mod usage {
        pub use crate::cli::usage::{forms, names};
    }
}
pub mod config {
    pub use crate::config::{ConfigMessage, ReadOptions, find_filter, read, read_early};
    pub mod definition {
        pub use crate::config::definition::convert;
    }
    pub mod files {
        pub use crate::config::files::{Files, join};
    }
    pub mod ini {
        pub use crate::config::ini::{IniFile, parse};
    }
    pub mod jail {
        pub mod report {
            pub use crate::config::jail::report::report;
        }
    }
    pub mod lookup {
        pub use crate::config::lookup::lookup;
    }
    pub mod options {
        pub use crate::config::options::{parse, split};
    }
    pub mod section {
        pub use crate::config::section::Section;
    }
    pub mod settings {
        pub use crate::config::settings::{
            MergedSettings, Options, Setting, Vars, split_condition,
        };
    }
    pub mod shipped {
        pub use crate::config::shipped::{DIR, Shipped, all};
    }
    pub mod stream {
        pub use crate::config::stream::{all, early};
    }
    pub mod tags {
        pub use crate::config::tags::substitute;
    }
}
pub mod control {
    pub use crate::control::{
        Command, CommandError, JailCommand, JailQuery, JailSetting, Reply, Value,
    };
    pub mod client {
        pub use crate::control::client::ControlClient;
    }
    pub mod listener {
        pub use crate::control::listener::HandlerResponse;
    }
    pub mod pickle {
        pub use crate::control::pickle::{MAX_DEPTH, decode, decode_reply, encode, encode_reply};
    }
    pub mod print {
        pub use crate::control::print::{Charset, failure, reply};
        pub mod json {
            pub use crate::control::print::json::value;
        }
    }
    pub mod wire {
        pub use crate::control::wire::{CLOSE, END, FrameBuffer, frame};
    }
}
pub mod crowdsec {
    pub mod decisions {
        pub use crate::crowdsec::decisions::{DecisionStream, LONGEST, duration, seconds};
    }
}
pub mod datetime {
    pub use crate::datetime::{DateDetector, DateTime, FixedOffset, Templates};
    pub mod duration {
        pub use crate::datetime::duration::{format, parse};
    }
}
pub mod evidence {
    pub use crate::evidence::Evidence;
    pub mod memory {
        pub use crate::evidence::memory::JailEvidence;
    }
}
pub mod exec {
    pub mod script {
        pub use crate::exec::script::Script;
    }
    pub mod syntax {
        pub use crate::exec::syntax::{List, ShellCommand, parse, plain_command};
    }
}
pub mod fields {
    pub use crate::fields::{FieldValue, Fields, MatchLine};
}
pub mod filter {
    pub use crate::filter::{Clock, ExamineMode, Failure, FailureId, Filter, LineOutcome};
}
pub mod firewall {
    pub mod iptables {
        pub use crate::firewall::iptables::{Rule, transactions};
    }
    pub mod netlink {
        pub use crate::firewall::netlink::{Answer, Body, Channel, Messages, attributes};
    }
    pub mod place {
        pub use crate::firewall::place::Set;
    }
    pub mod sets {
        pub use crate::firewall::sets::held;
    }
}
pub mod fleet {
    pub mod entry {
        pub use crate::fleet::entry::{FleetEntry, reason};
    }
}
pub mod http {
    pub use crate::http::{HttpClient, HttpLimits};
    pub mod tls {
        pub use crate::http::tls::Tls;
    }
}
pub mod jail {
    pub use crate::jail::{Decoder, DnsCache, Jail, JailContext, JailEvents};
    pub mod core {
        pub use crate::jail::core::{JailCore, PriorBans};
    }
    pub mod decision {
        pub use crate::jail::decision::{Decision, local_time};
    }
    pub mod formula {
        pub use crate::jail::formula::{Formula, Variables};
    }
    pub mod replay {
        pub use crate::jail::replay::ReplayJail;
    }
}
pub mod lint {
    pub use crate::lint::{LintFinding, Severity, leads, lint};
}
pub mod log {
    pub use crate::log::{Level, Sink, set_sink, set_threshold, write};
}
pub mod mail {
    pub use crate::mail::{Mail, Reads, Sink};
    pub mod rate_limit {
        pub use crate::mail::rate_limit::Pacing;
    }
}
pub mod notice {
    pub use crate::notice::Notice;
    pub mod queue {
        pub use crate::notice::queue::{NoticeJob, NoticeQueue};
    }
}
pub mod options {
    pub use crate::options::{OptionRow, ValueKind};
    pub mod action {
        pub use crate::options::action::all;
    }
    pub mod jail {
        pub use crate::options::jail::all;
    }
    pub mod server {
        pub use crate::options::server::of_all_sections;
    }
}
pub mod origin {
    pub use crate::origin::BanOrigin;
}
pub mod pattern {
    pub use crate::pattern::{
        FailRegex, Flags, LimitExceeded, Match, Prefilter, Regex, UseDns, short_tags,
    };
}
pub mod python {
    pub use crate::python::Number;
    pub mod encoding {
        pub use crate::python::encoding::Encoding;
    }
    pub mod text {
        pub use crate::python::text::{is_space, shell_words, words};
    }
}
pub mod samples {
    pub use crate::samples::{
        Facts, Measure, SampleStep, Samples, ZONE, arguments, judge, of_the_filter,
    };
}
pub mod server {
    pub use crate::server::Server;
    pub mod logging {
        pub use crate::server::logging::Logging;
    }
}
pub mod source {
    pub use crate::source::{Chunk, LogSubscription, Sources, StartPosition, Watch};
}
pub mod store {
    pub use crate::store::{BanHistory, LogPosition, Store, StoreError};
    pub mod data {
        pub use crate::store::data::{decode, encode};
    }
}
pub mod sys {
    pub mod hosts {
        pub use crate::sys::hosts::HostNames;
    }
}
pub mod ticket {
    pub use crate::ticket::{BanTime, Ticket};
}
