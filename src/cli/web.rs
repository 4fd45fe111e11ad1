//! `ferroban web`: serves page, API and metrics of the server by HTTP, as `[web]` and `[metrics]` of
//! `fail2ban.conf` say.

mod user;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::{FAILURE, directory, help, refused, say};
use crate::config;
use crate::config::metrics::Listen;
use crate::config::web::Web;
use crate::http::tls;
use crate::mail::whois::Whois;
use crate::sys::activation;
use crate::web::access::AccessControl;
use crate::web::api::gather::ApiSources;
use crate::web::ask::Ask;
use crate::web::callback::Callback;
use crate::web::events::EventHub;
use crate::web::exporter::Exporter;
use crate::web::metrics::MetricsFormat;
use crate::web::past::BanHistoryCache;
use crate::web::programs::Programs;
use crate::web::router::Site;
use crate::web::serve::{self, WebEndpoint};

/// Threads that wait for answers of the server.
const THREADS: usize = 16;

/// Runs the program; the first word is the name it was called under.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let matches = match command().try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) => return refused(&error),
    };
    match run(&matches) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ferroban web: {error:#}");
            ExitCode::from(FAILURE)
        }
    }
}

pub(super) fn command() -> Command {
    let command = Command::new("ferroban web")
        .about("Serves a page, an API and metrics of the server by HTTP.")
        .after_help("Exit code: 0 after --print, 2 a wrong command line, 255 it cannot serve.")
        .arg(directory::option())
        .arg(
            Arg::new("socket")
                .short('s')
                .long("socket")
                .value_name("FILE")
                .help("control socket of the server"),
        )
        .arg(
            Arg::new("listen")
                .long("listen")
                .value_name("ADDRESS:PORT|FILE")
                .help("serve metrics there, overriding the configuration"),
        )
        .arg(
            Arg::new("print")
                .long("print")
                .action(ArgAction::SetTrue)
                .help("print the metrics once, and exit"),
        )
        .subcommand(user::command())
        .subcommand_value_name("user")
        .args_conflicts_with_subcommands(true)
        .disable_help_subcommand(true);
    help::formed(
        command,
        &[
            (
                "as [web] and [metrics] of fail2ban.conf say",
                "ferroban web",
            ),
            (
                "somebody who may ban",
                "ferroban web user add anna --role operator",
            ),
            ("just look at the metrics", "ferroban web --print"),
            (
                "metrics without configuration",
                "ferroban web --listen 127.0.0.1:9191",
            ),
        ],
    )
}

fn run(matches: &ArgMatches) -> Result<()> {
    // before there are threads
    let passed = activation::take_named(&["page", "metrics"]);
    if let Some(("user", matches)) = matches.subcommand() {
        return user::run(matches);
    }
    let directory = Path::new(directory::chosen(matches));
    let options = config::read_metrics(directory)?;
    let web = config::read_web(directory)?;
    let text = |name: &str| matches.get_one::<String>(name);
    let socket: PathBuf = match (text("socket"), &web.socket) {
        (Some(socket), _) => socket.into(),
        (None, Some(socket)) => socket.clone(),
        (None, None) => config::read_early(directory)?.socket,
    };
    let listen = match text("listen") {
        Some(text) => Some(
            Listen::parse(text)
                .ok_or_else(|| anyhow!("--listen: expected {}, not {text:?}", Listen::FORM))?,
        ),
        None => options.listen,
    };
    let exporter = Exporter::new(socket.clone(), options.names, options.addresses);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(THREADS)
        .build()?;
    if matches.get_flag("print") {
        say(runtime
            .block_on(exporter.metrics(MetricsFormat::Text))
            .trim_end());
        return Ok(());
    }
    let [page, metrics] = passed;
    let nothing = listen.is_none() && options.textfile.is_none() && web.listen.is_none();
    if nothing && page.is_none() && metrics.is_none() {
        bail!(
            "nothing to serve: write listen = 127.0.0.1:9191 below [web] or [metrics], or textfile = FILE below [metrics], in {}/fail2ban.local",
            directory.display()
        );
    }
    runtime.block_on(async {
        let write = async {
            let Some(file) = &options.textfile else {
                return std::future::pending().await;
            };
            let warn = |error: &std::io::Error| {
                eprintln!("ferroban web: cannot write {}: {error}", file.display());
            };
            let written = exporter.write(file, warn).await;
            written.with_context(|| format!("cannot write {}", file.display()))
        };
        let metrics = place("metrics", metrics, listen).await?;
        let page = place("the page", page, web.listen.clone()).await?;
        let site = match &page {
            Some(listener) => {
                let hub = EventHub::begin(socket.clone())?;
                exporter.tell_of(Arc::clone(&hub));
                Some(Arc::new(site(&web, listener, directory, &socket, hub)?))
            }
            None => None,
        };
        let tls = match &web.tls {
            Some((certificate, key)) => {
                Some(tls::acceptor(certificate, key, web.cafile.as_deref())?)
            }
            None => None,
        };
        let answer = |listener: Option<WebEndpoint>, site, tls| {
            let exporter = exporter.clone();
            async move {
                match listener {
                    Some(listener) => Ok(serve::serve(exporter, listener, site, tls).await?),
                    None => std::future::pending().await,
                }
            }
        };
        tokio::select! {
            ended = write => ended,
            ended = answer(metrics, None, None) => ended,
            ended = answer(page, site, tls) => ended,
        }
    })
}

/// Where something is served: at a socket that systemd passed on, or where the configuration says.
async fn place(
    what: &str,
    passed: Option<activation::Passed>,
    listen: Option<Listen>,
) -> Result<Option<WebEndpoint>> {
    let (listener, place) = match (passed, listen) {
        (Some(passed), _) => (
            WebEndpoint::passed(passed)?,
            "a socket of systemd".to_owned(),
        ),
        (None, Some(listen)) => {
            let place = match &listen {
                Listen::Tcp(address) => address.to_string(),
                Listen::Unix(path) => path.display().to_string(),
            };
            let listener = WebEndpoint::bind(&listen).await;
            let listener = listener.with_context(|| format!("cannot listen at {place}"))?;
            (listener, place)
        }
        (None, None) => return Ok(None),
    };
    eprintln!("ferroban web: serving {what} at {place}");
    Ok(Some(listener))
}

/// Page and API, of the server at a control socket.
fn site(
    web: &Web,
    listener: &WebEndpoint,
    directory: &Path,
    socket: &Path,
    hub: Arc<EventHub>,
) -> Result<Site> {
    let open = web.users.is_none() && web.cafile.is_none();
    if open && !listener.is_local() {
        bail!(
            "others than this host can reach the page there, and nobody has to log in: set users below [web], see `ferroban web user add --help`"
        );
    }
    if web.users.is_some() && web.tls.is_none() && !listener.is_local() {
        eprintln!(
            "ferroban web: passwords come as plain text: set certfile and keyfile below [web]"
        );
    }
    let door = Arc::new(AccessControl::new(web)?);
    // systemd makes it and says where it is
    let state = std::env::var_os("STATE_DIRECTORY").map(PathBuf::from);
    let callback = Callback::begin(&door, &hub, state.as_deref());
    Ok(Site {
        base: web.base.clone(),
        door,
        sources: ApiSources {
            ask: Ask::at(socket.to_owned()),
            programs: Programs::of(directory.to_string_lossy().into_owned()),
            past: BanHistoryCache::default(),
            whois: Whois::default(),
        },
        hub,
        callback,
    })
}
