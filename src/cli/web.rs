//! `ferroban web`: serves the metrics of the server by HTTP, as `[metrics]` of `fail2ban.conf` says.

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
use crate::web::access::Door;
use crate::web::api::gather::Sources;
use crate::web::ask::Ask;
use crate::web::events::Hub;
use crate::web::metrics::Format;
use crate::web::past::Past;
use crate::web::programs::Programs;
use crate::web::router::Site;
use crate::web::serve::Service;

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
        .about("Serves the metrics of the server by HTTP, for Prometheus.")
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
                .help("serve there, whatever the configuration says"),
        )
        .arg(
            Arg::new("print")
                .long("print")
                .action(ArgAction::SetTrue)
                .help("print the metrics once, and end"),
        );
    help::formed(
        command,
        &[
            ("as [metrics] of fail2ban.conf says", "ferroban web"),
            ("just look", "ferroban web --print"),
            (
                "serve without configuration",
                "ferroban web --listen 127.0.0.1:9191",
            ),
        ],
    )
}

fn run(matches: &ArgMatches) -> Result<()> {
    let directory = Path::new(directory::chosen(matches));
    let options = config::read_metrics(directory)?;
    let text = |name: &str| matches.get_one::<String>(name);
    let socket: PathBuf = match text("socket") {
        Some(socket) => socket.into(),
        None => config::read_early(directory)?.socket,
    };
    let listen = match text("listen") {
        Some(text) => Some(Listen::parse(text).ok_or_else(|| {
            anyhow!("--listen wants an address with a port, such as 127.0.0.1:9191, or the path of a socket, not {text:?}")
        })?),
        None => options.listen,
    };
    let service = Service::new(socket.clone(), options.names, options.addresses);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    if matches.get_flag("print") {
        say(runtime.block_on(service.metrics(Format::Text)).trim_end());
        return Ok(());
    }
    let web = config::read_web(directory)?;
    if listen.is_none() && options.textfile.is_none() && web.listen.is_none() {
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
            let written = service.write(file, warn).await;
            written.with_context(|| format!("cannot write {}", file.display()))
        };
        let answer = |listen: Option<Listen>, what: &'static str, site: Option<Arc<Site>>| {
            let service = service.clone();
            async move {
                let Some(listen) = &listen else {
                    return std::future::pending().await;
                };
                let place = match listen {
                    Listen::Tcp(address) => address.to_string(),
                    Listen::Unix(path) => path.display().to_string(),
                };
                eprintln!("ferroban web: serving {what} at {place}");
                let served = service.listen(listen, site).await;
                served.with_context(|| format!("cannot listen at {place}"))
            }
        };
        let site = match &web.listen {
            Some(_) => Some(Arc::new(site(&web, directory, &socket)?)),
            None => None,
        };
        tokio::select! {
            ended = write => ended,
            ended = answer(listen, "metrics", None) => ended,
            ended = answer(web.listen.clone(), "the page", site) => ended,
        }
    })
}

/// Page and API, of the server at a control socket.
fn site(web: &Web, directory: &Path, socket: &Path) -> Result<Site> {
    Ok(Site {
        base: web.base.clone(),
        door: Door::new(web.write)?,
        has_users: web.users.is_some(),
        sources: Sources {
            ask: Ask::at(socket.to_owned()),
            programs: Programs::of(directory.to_string_lossy().into_owned()),
            past: Past::default(),
        },
        hub: Hub::begin(socket.to_owned())?,
    })
}
