//! Figures as a page for Prometheus: in its text format 0.0.4, or as OpenMetrics where that is asked for.
//!
//! The names `f2b_*` and `fail2ban_*` are those of exporters that people run already, so that their
//! dashboards and alerts go on. Some of these end in `_total` or `_count` and are no counters; they are
//! told as untyped, which is what both formats allow. What no exporter knows is `ferroban_*`.

use std::fmt::Write;

use super::events::Health;
use super::figures::{CrowdsecFigures, Figures, FleetFigures, JailMetrics};
use crate::VERSION;
use crate::action::ban_times::BOUNDS;
use crate::config::metrics::OldMetricNames;

/// Most addresses that are told, of all jails together: each is a time series.
pub const MOST_ADDRESSES: usize = 1000;

/// Most log files whose state is told, of all jails together.
const MOST_FILES: usize = 1000;
/// Most hosts and lists of a jail whose bans are told, and most lists whose decisions are.
const MOST_ORIGINS: usize = 64;

/// The form of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsFormat {
    /// Prometheus, version 0.0.4.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl MetricsFormat {
    /// What the answer to a request says it is.
    pub fn content_type(self) -> &'static str {
        match self {
            MetricsFormat::Text => "text/plain; version=0.0.4; charset=utf-8",
            MetricsFormat::OpenMetrics => {
                "application/openmetrics-text; version=1.0.0; charset=utf-8"
            }
        }
    }

    /// What a request accepts: OpenMetrics where it is named, else the text.
    pub fn accepted(accept: &str) -> MetricsFormat {
        match accept.contains("application/openmetrics-text") {
            true => MetricsFormat::OpenMetrics,
            false => MetricsFormat::Text,
        }
    }
}

/// How often the server could not be asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Failures {
    /// Nobody listened.
    pub connect: u64,
    /// It did not answer as it should.
    pub request: u64,
}

/// What this process tells of itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct OwnMetrics {
    /// How often the server could not be asked.
    pub failures: Failures,
    /// Those who listen to events, where there is a page.
    pub listeners: Option<Health>,
}

/// The page. Without figures the server did not answer.
pub fn page(
    figures: Option<&Figures>,
    web: &OwnMetrics,
    names: OldMetricNames,
    format: MetricsFormat,
) -> String {
    let mut page = MetricsPage {
        text: String::new(),
        format,
    };
    if names != OldMetricNames::Fail2ban {
        f2b(&mut page, figures, web.failures);
    }
    if let Some(figures) = figures {
        if names != OldMetricNames::F2b {
            fail2ban(&mut page, figures);
        }
        own(&mut page, figures);
    }
    if let Some(health) = web.listeners {
        listeners(&mut page, health);
    }
    if format == MetricsFormat::OpenMetrics {
        page.text.push_str("# EOF\n");
    }
    page.text
}

/// What kind a metric is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum MetricKind {
    Counter,
    Gauge,
    Untyped,
    Histogram,
}

/// A page being written.
struct MetricsPage {
    text: String,
    format: MetricsFormat,
}

type Labels<'a> = &'a [(&'a str, &'a str)];

impl MetricsPage {
    /// Begins a metric. The name of a counter ends in `_total`.
    fn begin(&mut self, name: &str, kind: MetricKind, help: &str) {
        let open = self.format == MetricsFormat::OpenMetrics;
        let name = match kind {
            MetricKind::Counter if open => name.strip_suffix("_total").unwrap_or(name),
            _ => name,
        };
        let kind = match kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
            MetricKind::Untyped if open => "unknown",
            MetricKind::Untyped => "untyped",
        };
        // writing to a String cannot fail
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: Labels<'_>, value: f64) {
        self.text.push_str(name);
        for (at, (label, value)) in labels.iter().enumerate() {
            self.text.push(if at == 0 { '{' } else { ',' });
            let _ = write!(self.text, "{label}=\"");
            for c in value.chars() {
                match c {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    c => self.text.push(c),
                }
            }
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }

    /// A metric with one sample for each jail that has a value.
    fn by_jail(
        &mut self,
        (name, kind, help): (&str, MetricKind, &str),
        figures: &Figures,
        value: impl Fn(&JailMetrics) -> Option<f64>,
    ) {
        let mut values = figures
            .jails
            .iter()
            .filter_map(|jail| Some((jail, value(jail)?)))
            .peekable();
        if values.peek().is_none() {
            return;
        }
        self.begin(name, kind, help);
        for (jail, value) in values {
            self.sample(name, &[("jail", &jail.name)], value);
        }
    }
}

/// What is told of the failures and bans of a jail: how the names end, what they mean, where they are.
type Count = (
    &'static str,
    MetricKind,
    &'static str,
    fn(&JailMetrics) -> u64,
);

const COUNTS: [Count; 4] = [
    (
        "failed_current",
        MetricKind::Gauge,
        "Addresses with failures now.",
        |jail| jail.failed[0],
    ),
    (
        "failed_total",
        MetricKind::Untyped,
        "Failures since the jail has started.",
        |jail| jail.failed[1],
    ),
    (
        "banned_current",
        MetricKind::Gauge,
        "Addresses banned now.",
        |jail| jail.banned[0],
    ),
    (
        "banned_total",
        MetricKind::Untyped,
        "Bans since the jail has started.",
        |jail| jail.banned[1],
    ),
];

fn counts(page: &mut MetricsPage, prefix: &str, figures: &Figures) {
    for (name, kind, help, value) in COUNTS {
        let name = format!("{prefix}_{name}");
        let value = |jail: &JailMetrics| Some(value(jail) as f64);
        page.by_jail((&name, kind, help), figures, value);
    }
}

fn f2b(page: &mut MetricsPage, figures: Option<&Figures>, failures: Failures) {
    page.begin("f2b_up", MetricKind::Gauge, "Whether the server answers.");
    page.sample("f2b_up", &[], f64::from(u8::from(figures.is_some())));
    page.begin(
        "f2b_errors",
        MetricKind::Untyped,
        "Questions the server did not answer.",
    );
    for (name, count) in [
        ("socket_conn", failures.connect),
        ("socket_req", failures.request),
    ] {
        page.sample("f2b_errors", &[("type", name)], count as f64);
    }
    let version = figures.map_or("", |figures| &figures.version);
    page.begin("f2b_version", MetricKind::Gauge, "Versions, as labels.");
    let labels = [("exporter", VERSION), ("fail2ban", version)];
    page.sample("f2b_version", &labels, 1.0);
    let Some(figures) = figures else { return };
    page.begin("f2b_jail_count", MetricKind::Untyped, "Jails that run.");
    page.sample("f2b_jail_count", &[], figures.jails.len() as f64);
    counts(page, "f2b_jail", figures);
    let settings = [
        (
            "f2b_config_jail_ban_time",
            "How long a ban lasts, in seconds.",
        ),
        (
            "f2b_config_jail_find_time",
            "The time within which failures add up, in seconds.",
        ),
        (
            "f2b_config_jail_max_retries",
            "How many failures make a ban.",
        ),
    ];
    for (at, (name, help)) in settings.into_iter().enumerate() {
        page.by_jail((name, MetricKind::Gauge, help), figures, |jail| {
            jail.settings[at]
        });
    }
    let ids = figures
        .jails
        .iter()
        .flat_map(|jail| jail.ids.iter().map(|id| (&jail.name, id)));
    let mut ids = ids.take(MOST_ADDRESSES).peekable();
    if ids.peek().is_some() {
        page.begin(
            "f2b_banned_ip",
            MetricKind::Gauge,
            "An address that is banned.",
        );
        for (jail, id) in ids {
            page.sample("f2b_banned_ip", &[("jail", jail), ("ip", id)], 1.0);
        }
    }
}

fn fail2ban(page: &mut MetricsPage, figures: &Figures) {
    counts(page, "fail2ban", figures);
}

fn listeners(page: &mut MetricsPage, health: Health) {
    for (name, kind, help, value) in [
        (
            "ferroban_web_connected",
            MetricKind::Gauge,
            "Whether the events of the server are heard.",
            u64::from(health.connected),
        ),
        (
            "ferroban_web_listeners",
            MetricKind::Gauge,
            "Browsers and programs that listen to events.",
            health.listeners,
        ),
        (
            "ferroban_web_events_lost_total",
            MetricKind::Counter,
            "Events that listeners were too slow for.",
            health.lost,
        ),
        (
            "ferroban_web_listeners_dropped_total",
            MetricKind::Counter,
            "Listeners that were dropped because they took nothing.",
            health.dropped,
        ),
    ] {
        page.begin(name, kind, help);
        page.sample(name, &[], value as f64);
    }
}

fn own(page: &mut MetricsPage, figures: &Figures) {
    let number = |count: Option<u64>| count.map(|count| count as f64);
    page.by_jail(
        (
            "ferroban_lines_total",
            MetricKind::Counter,
            "Lines that went through the filter.",
        ),
        figures,
        |jail| number(jail.lines),
    );
    page.by_jail(
        (
            "ferroban_searches_given_up_total",
            MetricKind::Counter,
            "Searches of a regex that took too many steps.",
        ),
        figures,
        |jail| number(jail.given_up),
    );
    for (at, (name, help)) in [
        (
            "ferroban_dropped_packets_total",
            "Packets that the kernel has dropped for bans.",
        ),
        (
            "ferroban_dropped_bytes_total",
            "Bytes of packets that the kernel has dropped for bans.",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let dropped = |jail: &JailMetrics| number(jail.dropped.map(|dropped| dropped[at]));
        page.by_jail((name, MetricKind::Counter, help), figures, dropped);
    }
    page.by_jail(
        (
            "ferroban_simulated",
            MetricKind::Gauge,
            "Whether the jail only says whom it would ban.",
        ),
        figures,
        |jail| jail.lines.map(|_| f64::from(u8::from(jail.simulated))),
    );
    let jails = || figures.jails.iter();
    if jails().any(|jail| !jail.regex_hits.is_empty()) {
        let name = "ferroban_regex_hits_total";
        page.begin(
            name,
            MetricKind::Counter,
            "Hits of a failregex, by its place in the jail.",
        );
        for jail in jails() {
            for (at, hits) in jail.regex_hits.iter().enumerate() {
                let regex = at.to_string();
                let labels = [("jail", &*jail.name), ("regex", &*regex)];
                page.sample(name, &labels, *hits as f64);
            }
        }
    }
    let unread = || jails().flat_map(|jail| jail.unread.iter().map(move |one| (jail, one)));
    if unread().next().is_some() {
        let name = "ferroban_source_unread_bytes";
        page.begin(
            name,
            MetricKind::Gauge,
            "Bytes of a log file that the jail has not read yet.",
        );
        for (jail, (file, bytes)) in unread().take(MOST_FILES) {
            let labels = [("jail", &*jail.name), ("file", &**file)];
            page.sample(name, &labels, *bytes as f64);
        }
    }
    if jails().any(|jail| !jail.origins.is_empty()) {
        let name = "ferroban_bans";
        page.begin(
            name,
            MetricKind::Gauge,
            "Bans in force by who decided on them.",
        );
        for jail in jails() {
            for (origin, bans) in jail.origins.iter().take(MOST_ORIGINS) {
                let labels = [("jail", &*jail.name), ("origin", &**origin)];
                page.sample(name, &labels, *bans as f64);
            }
        }
    }
    let actions = || jails().flat_map(|jail| jail.actions.iter().map(move |one| (jail, one)));
    if actions().next().is_some() {
        let name = "ferroban_bans_not_effective";
        page.begin(
            name,
            MetricKind::Gauge,
            "Bans whose command failed; it is tried again.",
        );
        for (jail, action) in actions() {
            let labels = [("jail", &*jail.name), ("action", &*action.name)];
            page.sample(name, &labels, action.not_effective as f64);
        }
        let name = "ferroban_orders_waiting";
        page.begin(
            name,
            MetricKind::Gauge,
            "Bans and unbans that wait for the action.",
        );
        for (jail, action) in actions() {
            let labels = [("jail", &*jail.name), ("action", &*action.name)];
            page.sample(name, &labels, action.waiting as f64);
        }
        ban_times(
            page,
            actions().map(|(jail, action)| (&*jail.name, &*action.name, &action.ban_times)),
        );
    }
    if let Some(waiting) = figures.database_waiting {
        let name = "ferroban_database_requests_waiting";
        page.begin(
            name,
            MetricKind::Gauge,
            "Reads and writes that wait for the database.",
        );
        page.sample(name, &[], waiting as f64);
    }
    if let Some(fleet) = &figures.fleet {
        of_fleet(page, fleet);
    }
    if let Some(crowdsec) = &figures.crowdsec {
        of_crowdsec(page, crowdsec);
    }
}

fn of_crowdsec(page: &mut MetricsPage, crowdsec: &CrowdsecFigures) {
    let name = "ferroban_crowdsec_connected";
    let help = "Whether CrowdSec takes bans (telling), and tells decisions (hearing).";
    page.begin(name, MetricKind::Gauge, help);
    for (way, connected) in ["telling", "hearing"].into_iter().zip(crowdsec.connected) {
        if let Some(connected) = connected {
            page.sample(name, &[("way", way)], f64::from(u8::from(connected)));
        }
    }
    let name = "ferroban_crowdsec_waiting";
    let help = "Bans and their ends that CrowdSec has not been told yet.";
    page.begin(name, MetricKind::Gauge, help);
    page.sample(name, &[], crowdsec.waiting);
    let lists = || crowdsec.lists.iter().take(MOST_ORIGINS);
    if lists().next().is_none() {
        return;
    }
    let name = "ferroban_list_entries";
    page.begin(
        name,
        MetricKind::Gauge,
        "Decisions of a list that are in force.",
    );
    for (list, count) in lists() {
        page.sample(name, &[("list", list)], *count as f64);
    }
    if let Some(age) = crowdsec.age {
        let name = "ferroban_list_age_seconds";
        page.begin(
            name,
            MetricKind::Gauge,
            "Seconds since the list was told last.",
        );
        for (list, _) in lists() {
            page.sample(name, &[("list", list)], age);
        }
    }
}

/// What is told of each host of a fleet, in the order of [`super::figures::HOST_FIGURES`].
const HOSTS: [(&str, MetricKind, &str); 5] = [
    (
        "ferroban_fleet_host_seen_seconds",
        MetricKind::Gauge,
        "Seconds since the host's last sign of life.",
    ),
    (
        "ferroban_fleet_host_lag_seconds",
        MetricKind::Gauge,
        "How long its last entry took to come here.",
    ),
    (
        "ferroban_fleet_host_bans",
        MetricKind::Gauge,
        "Its bans that count here.",
    ),
    (
        "ferroban_fleet_host_refused_total",
        MetricKind::Counter,
        "Entries of it that were refused.",
    ),
    (
        "ferroban_fleet_host_muted",
        MetricKind::Gauge,
        "Whether it has said too much and is not listened to.",
    ),
];

fn of_fleet(page: &mut MetricsPage, fleet: &FleetFigures) {
    let single = [
        (
            "ferroban_fleet_connected",
            MetricKind::Gauge,
            "Whether there is a connection to the fleet's engine.",
            f64::from(u8::from(fleet.connected)),
        ),
        (
            "ferroban_fleet_waiting",
            MetricKind::Gauge,
            "Bans and their ends on their way to the engine or from it to jails.",
            fleet.waiting,
        ),
        (
            "ferroban_fleet_sent_total",
            MetricKind::Counter,
            "Entries that this host has put into its stream.",
            fleet.sent,
        ),
        (
            "ferroban_fleet_dropped_total",
            MetricKind::Counter,
            "Bans that could not be told at once; they are told later.",
            fleet.dropped,
        ),
    ];
    for (name, kind, help, value) in single {
        page.begin(name, kind, help);
        page.sample(name, &[], value);
    }
    for (at, (name, kind, help)) in HOSTS.into_iter().enumerate() {
        if fleet.hosts.is_empty() {
            return;
        }
        page.begin(name, kind, help);
        for (host, values) in &fleet.hosts {
            page.sample(name, &[("host", host)], values[at]);
        }
    }
}

/// The histogram: each bucket of the format counts what took no longer, so they add up.
fn ban_times<'a>(
    page: &mut MetricsPage,
    actions: impl Iterator<Item = (&'a str, &'a str, &'a (Vec<u64>, f64))>,
) {
    let name = "ferroban_ban_seconds";
    page.begin(
        name,
        MetricKind::Histogram,
        "From the decision to ban until the action has done it.",
    );
    for (jail, action, (buckets, seconds)) in actions {
        let bounds = BOUNDS.iter().map(f64::to_string);
        let bounds = bounds.chain(std::iter::once("+Inf".to_owned()));
        let mut sum = 0;
        for (bound, count) in bounds.zip(buckets) {
            sum += count;
            let labels = [("jail", jail), ("action", action), ("le", &bound)];
            page.sample(&format!("{name}_bucket"), &labels, sum as f64);
        }
        let labels = [("jail", jail), ("action", action)];
        page.sample(&format!("{name}_sum"), &labels, *seconds);
        page.sample(&format!("{name}_count"), &labels, sum as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::super::figures::ActionFigures;
    use super::*;

    fn figures() -> Figures {
        let mut buckets = vec![0; BOUNDS.len() + 1];
        (buckets[0], buckets[2]) = (3, 1);
        Figures {
            version: "1.1.1".to_owned(),
            jails: vec![JailMetrics {
                name: "a\"b\\c\nd".to_owned(),
                failed: [1, 9],
                banned: [2, 3],
                ids: vec!["192.0.2.1".to_owned()],
                settings: [Some(600.0), Some(60.5), Some(-1.0)],
                lines: Some(7),
                regex_hits: vec![3, 0],
                given_up: Some(0),
                dropped: Some([12, 720]),
                actions: vec![ActionFigures {
                    name: "nft".to_owned(),
                    not_effective: 1,
                    waiting: 4,
                    ban_times: (buckets, 0.25),
                }],
                ..JailMetrics::default()
            }],
            database_waiting: Some(5),
            fleet: Some(FleetFigures {
                connected: true,
                waiting: 2.0,
                hosts: vec![("mx2".to_owned(), vec![1.5, 0.25, 7.0, 3.0, 1.0])],
                ..FleetFigures::default()
            }),
            crowdsec: Some(CrowdsecFigures {
                connected: [None, Some(true)],
                waiting: 2.0,
                lists: vec![("CAPI".to_owned(), 7)],
                age: Some(10.0),
            }),
        }
    }

    fn text(names: OldMetricNames, format: MetricsFormat) -> String {
        page(Some(&figures()), &OwnMetrics::default(), names, format)
    }

    #[test]
    fn names_of_the_exporters_are_told() {
        let text = text(OldMetricNames::Both, MetricsFormat::Text);
        let jail = "jail=\"a\\\"b\\\\c\\nd\"";
        for line in [
            "f2b_up 1".to_owned(),
            "f2b_errors{type=\"socket_conn\"} 0".to_owned(),
            "f2b_errors{type=\"socket_req\"} 0".to_owned(),
            "f2b_jail_count 1".to_owned(),
            format!("f2b_jail_failed_current{{{jail}}} 1"),
            format!("f2b_jail_failed_total{{{jail}}} 9"),
            format!("f2b_jail_banned_current{{{jail}}} 2"),
            format!("f2b_jail_banned_total{{{jail}}} 3"),
            format!("f2b_config_jail_ban_time{{{jail}}} 600"),
            format!("f2b_config_jail_find_time{{{jail}}} 60.5"),
            format!("f2b_config_jail_max_retries{{{jail}}} -1"),
            format!("f2b_version{{exporter=\"{VERSION}\",fail2ban=\"1.1.1\"}} 1"),
            format!("f2b_banned_ip{{{jail},ip=\"192.0.2.1\"}} 1"),
            format!("fail2ban_failed_total{{{jail}}} 9"),
            format!("fail2ban_banned_current{{{jail}}} 2"),
            format!("ferroban_lines_total{{{jail}}} 7"),
            format!("ferroban_regex_hits_total{{{jail},regex=\"0\"}} 3"),
            format!("ferroban_bans_not_effective{{{jail},action=\"nft\"}} 1"),
            format!("ferroban_ban_seconds_bucket{{{jail},action=\"nft\",le=\"0.005\"}} 3"),
            format!("ferroban_ban_seconds_bucket{{{jail},action=\"nft\",le=\"+Inf\"}} 4"),
            format!("ferroban_ban_seconds_count{{{jail},action=\"nft\"}} 4"),
            format!("ferroban_ban_seconds_sum{{{jail},action=\"nft\"}} 0.25"),
            "ferroban_database_requests_waiting 5".to_owned(),
            "ferroban_fleet_connected 1".to_owned(),
            "ferroban_fleet_waiting 2".to_owned(),
            "ferroban_fleet_host_lag_seconds{host=\"mx2\"} 0.25".to_owned(),
            "ferroban_fleet_host_refused_total{host=\"mx2\"} 3".to_owned(),
            "ferroban_fleet_host_muted{host=\"mx2\"} 1".to_owned(),
            format!("ferroban_dropped_packets_total{{{jail}}} 12"),
            format!("ferroban_dropped_bytes_total{{{jail}}} 720"),
            "ferroban_crowdsec_connected{way=\"hearing\"} 1".to_owned(),
            "ferroban_crowdsec_waiting 2".to_owned(),
            "ferroban_list_entries{list=\"CAPI\"} 7".to_owned(),
            "ferroban_list_age_seconds{list=\"CAPI\"} 10".to_owned(),
        ] {
            assert!(text.lines().any(|one| one == line), "{line} not in\n{text}");
        }
        assert!(!text.contains("# EOF"));
    }

    #[test]
    fn older_names_are_chosen() {
        let f2b = text(OldMetricNames::F2b, MetricsFormat::Text);
        assert!(f2b.contains("\nf2b_jail_count") && !f2b.contains("\nfail2ban_"));
        let fail2ban = text(OldMetricNames::Fail2ban, MetricsFormat::Text);
        assert!(!fail2ban.contains("f2b_") && fail2ban.contains("\nfail2ban_failed_total"));
    }

    #[test]
    fn openmetrics_has_families_and_an_end() {
        let text = text(OldMetricNames::F2b, MetricsFormat::OpenMetrics);
        assert!(text.contains("# TYPE ferroban_lines counter\nferroban_lines_total{"));
        assert!(text.contains("# TYPE f2b_errors unknown\n"));
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn a_server_that_is_silent_is_down() {
        let failures = Failures {
            connect: 2,
            request: 1,
        };
        let own = OwnMetrics {
            failures,
            ..OwnMetrics::default()
        };
        let text = page(None, &own, OldMetricNames::F2b, MetricsFormat::Text);
        assert!(text.contains("\nf2b_up 0\n"));
        assert!(text.contains("f2b_errors{type=\"socket_conn\"} 2\n"));
        assert!(text.contains("f2b_errors{type=\"socket_req\"} 1\n"));
        assert!(!text.contains("jail"));
    }

    #[test]
    fn addresses_are_bounded() {
        let mut figures = figures();
        figures.jails[0].ids = (0..2 * MOST_ADDRESSES).map(|n| n.to_string()).collect();
        let text = page(
            Some(&figures),
            &OwnMetrics::default(),
            OldMetricNames::F2b,
            MetricsFormat::Text,
        );
        assert_eq!(text.matches("\nf2b_banned_ip{").count(), MOST_ADDRESSES);
    }
}
