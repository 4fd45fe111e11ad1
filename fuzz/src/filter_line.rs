//! Any lines through filters: the shipped ones and some more of ours.
//!
//! First byte of the input: which filter. Then lines, one per part.

use std::cell::OnceCell;

use ferroban::parts::address::Address;
use ferroban::parts::config::lookup;
use ferroban::parts::config::shipped::{self, Shipped};
use ferroban::parts::filter::{Clock, FailureId, Filter};

/// The filters this program brings.
const SHIPPED: [&str; 9] = [
    "sshd",
    "sshd[mode=aggressive]",
    "postfix[mode=aggressive]",
    "dovecot[mode=aggressive]",
    "apache-auth",
    "nginx-http-auth",
    "recidive",
    "saslauthd",
    "postfix",
];

/// What their options come to, and filters of a kind that is not among them.
#[derive(Default)]
struct Source {
    prefregex: String,
    failregex: Vec<String>,
    ignoreregex: Vec<String>,
    datepattern: String,
    maxlines: usize,
}

fn own() -> [Source; 3] {
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    [
        // no anchors, any address
        Source {
            failregex: texts(&[
                r"(?i)fail\w*.*?<HOST>",
                r"denied <SUBNET>|<F-ID>id=\S+</F-ID>",
            ]),
            ignoreregex: texts(&["ignore me"]),
            datepattern: "{NONE}".to_owned(),
            maxlines: 1,
            ..Source::default()
        },
        // several lines at once
        Source {
            failregex: texts(&[
                r"^begin <F-MLFID>\w+</F-MLFID>$<SKIPLINES>^from <ADDR>$",
                r"^<F-MLFFORGET>end</F-MLFFORGET> <HOST>",
            ]),
            maxlines: 4,
            ..Source::default()
        },
        // sessions
        Source {
            prefregex: r"^<F-MLFID>\w+\[\d+\]</F-MLFID>: <F-CONTENT>.+</F-CONTENT>$".to_owned(),
            failregex: texts(&[
                r"^<F-NOFAIL>connect</F-NOFAIL> from <HOST>",
                r"^user <F-USER>\S+</F-USER> wrong( again)?$",
                r"^<F-MLFGAINED>welcome</F-MLFGAINED> <F-ALT_USER>.*</F-ALT_USER>",
                r"^(?P<tuple_a>a*)(?P<tuple_a_1>b*) by <HOST>",
            ]),
            datepattern: r"^%%Y-%%m-%%d %%H:%%M:%%S(?:\.%%f)?".replace("%%", "%"),
            maxlines: 1,
            ..Source::default()
        },
    ]
}

fn shipped(name: &str) -> Source {
    let found = lookup::lookup(&Shipped, shipped::DIR, name, "auto");
    let found = found.expect("readable").expect("there");
    let options = found.options;
    Source {
        prefregex: options.prefregex.unwrap_or_default(),
        failregex: options.failregex,
        ignoreregex: options.ignoreregex,
        datepattern: options.datepattern.unwrap_or_default(),
        maxlines: 1,
    }
}

impl Source {
    fn filter(&self) -> Filter {
        let mut filter = Filter::new("jail");
        filter.set_maxlines(self.maxlines);
        if !self.datepattern.is_empty() {
            filter
                .set_datepattern(&self.datepattern)
                .expect("a pattern");
        }
        filter.set_prefregex(&self.prefregex).expect("a regex");
        for regex in &self.failregex {
            filter.add_failregex(regex).expect("a regex");
        }
        for regex in &self.ignoreregex {
            filter.add_ignoreregex(regex).expect("a regex");
        }
        filter
    }
}

thread_local! {
    /// Sources, each with a filter that keeps its compiled regexes alive.
    static FILTERS: OnceCell<Vec<(Source, Filter)>> = const { OnceCell::new() };
}

pub fn run(data: &[u8]) {
    let Some((&choice, lines)) = data.split_first() else {
        return;
    };
    let mut filter = FILTERS.with(|filters| {
        let filters = filters.get_or_init(|| {
            let sources = SHIPPED.map(shipped).into_iter().chain(own());
            sources
                .map(|source| (source.filter(), source))
                .map(|(f, s)| (s, f))
                .collect()
        });
        filters[usize::from(choice) % filters.len()].0.filter()
    });
    let mut seen = String::new();
    for line in super::texts(lines) {
        seen.push_str(&line);
        seen.push('\n');
        let clock = Clock {
            now: super::NOW,
            in_operation: true,
            findtime: 600.0,
        };
        for failure in filter.process_line(&line, None, &clock) {
            assert!(failure.time <= super::NOW);
            match &failure.id {
                FailureId::Address(Address::Ip(ip)) => {
                    assert!(names_address(&seen, *ip), "{ip} from nowhere in {seen:?}");
                }
                FailureId::Address(_) => {}
                FailureId::Name(name) => assert!(seen.contains(name), "{name} in {seen:?}"),
            }
        }
    }
}

/// Whether some piece of the text is this address, in any spelling.
fn names_address(text: &str, ip: std::net::IpAddr) -> bool {
    let pieces = text.split(|c: char| !(c.is_ascii_hexdigit() || c == ':' || c == '.'));
    let is_it = |text: &str| Address::parse_ip(text) == Some(Address::Ip(ip));
    // a piece may hold more than the address: "1:192.0.2.1", "192.0.2.1."
    pieces.filter(|piece| piece.len() > 1).any(|piece| {
        let cuts = 0..piece.len();
        cuts.into_iter()
            .any(|from| (from + 2..=piece.len()).any(|to| is_it(&piece[from..to])))
    })
}
