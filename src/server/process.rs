//! The server as a process: fork, pid and socket files, signals, exit code (facts L1–L5, P61).

use std::fs;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use nix::sys::stat::{Mode, umask};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::loggers::{LOG, OBSERVER, SOCKET};
use super::logging::Logging;
use super::settings::make_directory_of;
use super::{Lifecycle, Server, ServerOptions, notify, sandbox, stream_of, watchdog};
use crate::config::Sandbox;
use crate::control::{CommandError, Value, listener, pickle};
use crate::sys::daemonize::{Side, daemonize};
use crate::sys::{activation, allocator};
use crate::{COMPATIBLE_VERSION, VERSION, critical, debug, error, info, log, warning};

/// What any failed start ends with.
const FAILED: u8 = 255;
/// What a shell reports of a process that SIGHUP ended (fact L3).
const HUNG_UP: u8 = 129;

/// For tasks that have not ended by themselves.
const LAST: Duration = Duration::from_millis(200);

/// How a start went; when well, what was said of jails that had to be dropped.
type Started = Result<Vec<String>, CommandError>;

/// Runs the server until it is stopped, in this process or, unless `foreground`, in a daemon.
///
/// `stream` is the configuration as commands. `report` is called once in the process that the user
/// started: when the configuration is applied, or with what went wrong; a daemon drops it then. Threads must not have been
/// started before, and no files be open.
pub fn run(
    mut options: ServerOptions,
    stream: Vec<Vec<Value>>,
    report: impl FnOnce(Result<(), CommandError>),
) -> ExitCode {
    // the daemon's directory is another one
    for path in [&mut options.socket, &mut options.pidfile] {
        if let Ok(absolute) = std::path::absolute(&*path) {
            *path = absolute;
        }
    }
    // a socket that systemd holds answers, too
    if !activation::is_offered() && answers(&options.socket) {
        report(Err(CommandError::new("Server already running")));
        return ExitCode::from(FAILED);
    }
    umask(Mode::from_bits_truncate(0o077));
    if options.foreground {
        return serve(&options, stream, |started| report(started.map(drop)));
    }
    match daemonize() {
        Err(e) => {
            let why = format!("Could not create daemon: {e}");
            report(Err(CommandError::new(why)));
            ExitCode::from(FAILED)
        }
        Ok(Side::Starter(said)) => {
            let started = pickle::decode_reply(&said)
                .unwrap_or_else(|_| Err(CommandError::new("Could not start server")));
            let code = if started.is_ok() { 0 } else { FAILED };
            if let Ok(Value::List(dropped)) = &started {
                // they are in the log of the daemon, too, but who starts it looks here
                for jail in dropped {
                    error!("fail2ban", "{}", jail.str());
                }
            }
            report(started.map(drop));
            ExitCode::from(code)
        }
        Ok(Side::Daemon(mut starter)) => serve(&options, stream, move |started| {
            drop(report);
            let message = pickle::encode_reply(&started.map(Value::from));
            // the starter may have been killed; the daemon does its work all the same
            let _ = starter.write_all(&message);
        }),
    }
}

/// Whether somebody listens on the socket, be it a server too busy to take one more client.
fn answers(path: &Path) -> bool {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let (Ok(client), Ok(address)) = (
        socket(AddressFamily::Unix, SockType::Stream, flags, None),
        UnixAddr::new(path),
    ) else {
        return false;
    };
    matches!(
        connect(client.as_raw_fd(), &address),
        Ok(()) | Err(Errno::EAGAIN)
    )
}

/// Sets up log and runtime, then lives. `report` is told what was said of dropped jails.
fn serve(
    options: &ServerOptions,
    stream: Vec<Vec<Value>>,
    report: impl FnOnce(Started),
) -> ExitCode {
    if let Ok(name) = std::ffi::CString::new(options.process_name.as_str()) {
        // how it is called in process lists is not worth failing for
        let _ = prctl::set_name(&name);
    }
    // for one thread only: there is no other yet
    let sandboxed = sandbox::enter(options);
    allocator::share_heaps();
    let inherited = activation::take();
    let logging = match Logging::new(options.verbosity) {
        Ok(logging) => Arc::new(logging),
        Err(e) => {
            report(Err(CommandError::new(e.to_string())));
            return ExitCode::from(FAILED);
        }
    };
    log::set_sink(logging.sink());
    std::panic::set_hook(Box::new(|panic| {
        critical!("fail2ban", "Unhandled exception in Fail2Ban: {panic}");
    }));
    let code = match prepare(options, &logging) {
        Ok(runtime) => {
            sandboxed.tell();
            let life = live(options, Arc::clone(&logging), inherited, stream, report);
            let code = runtime.block_on(life);
            // whatever still waits in a blocking call (a whois, a name server) is not waited for, but
            // programs that still run are ended
            runtime.shutdown_timeout(LAST);
            code
        }
        Err(e) => {
            report(Err(e));
            FAILED
        }
    };
    logging.drain();
    ExitCode::from(code)
}

/// The log as the command line wants it, and a runtime.
fn prepare(options: &ServerOptions, logging: &Logging) -> Result<Runtime, CommandError> {
    logging.set_syslog_socket(&options.syslogsocket)?;
    logging.set_level(&options.loglevel)?;
    if !options.logformat.is_empty() {
        logging.set_format(&options.logformat)?;
    }
    logging.set_target(&options.logtarget)?;
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(96)
        .thread_name("f2b/worker")
        .enable_all()
        .build()
        .map_err(|e| CommandError::new(e.to_string()))
}

/// From the first line of the log to the last.
async fn live(
    options: &ServerOptions,
    logging: Arc<Logging>,
    inherited: Option<UnixListener>,
    stream: Vec<Vec<Value>>,
    report: impl FnOnce(Started),
) -> u8 {
    info!(LOG, "{}", "-".repeat(50));
    info!(
        LOG,
        "Starting Fail2ban v{COMPATIBLE_VERSION} (Ferroban {VERSION})"
    );
    if !options.foreground {
        info!(LOG, "Daemon started");
    }
    let pidfile = PidFile::create(&options.pidfile);
    info!(OBSERVER, "Observer start...");
    let mut signals = match Signals::install(options.foreground) {
        Ok(signals) => signals,
        Err(e) => {
            error!(LOG, "Could not install signal handlers: {e}");
            report(Err(CommandError::new(e.to_string())));
            return FAILED;
        }
    };
    let server = Server::new(logging, options.sandbox == Sandbox::Strict);
    let bound = match inherited {
        Some(listener) => Ok(Socket::inherited(listener, &options.socket)),
        None => Socket::bind(&options.socket, options.force),
    };
    let (listener, socket) = match bound {
        Ok(bound) => bound,
        Err(e) => {
            error!(LOG, "Could not start server: {e}");
            server.shut_down().await;
            info!(LOG, "Exiting Fail2ban");
            pidfile.remove();
            report(Err(e));
            return FAILED;
        }
    };
    watchdog::start(&server, &options.socket);
    let requests = {
        let server = Arc::clone(&server);
        move |words| Arc::clone(&server).request(words)
    };
    let mut code = 0;
    let until = async {
        let mut signalled = false;
        tokio::select! {
            () = configure(&server, stream, report) => code = FAILED,
            signal = signals.until_the_end(&server) => {
                code = signal;
                signalled = true;
            }
            () = server.end_requested() => {}
            () = server.purge_hourly() => {}
            () = server.clock.look() => {}
        }
        // a stream of another client that is under way ends at its next command
        server.stop();
        notify::stopping();
        tokio::select! {
            () = server.shut_down() => {}
            () = signals.second(signalled) => server.give_up().await,
        }
        socket.remove();
        server.life.send_replace(Lifecycle::Stopped);
    };
    if let Err(e) = listener::serve_until(listener, requests, until).await {
        error!(SOCKET, "Unable to listen: {e}");
        code = FAILED;
    }
    info!(LOG, "Exiting Fail2ban");
    pidfile.remove();
    code
}

/// Applies the configuration; returns only when no jail could be started because of errors.
async fn configure(server: &Arc<Server>, stream: Vec<Vec<Value>>, report: impl FnOnce(Started)) {
    // on a worker: from here each of thousands of commands would wake another thread
    let running = {
        let server = Arc::clone(server);
        tokio::spawn(async move { server.run_stream(stream_of(stream)).await })
    };
    let done = match running.await {
        Ok(done) => done,
        Err(e) => return report(Err(CommandError::new(e.to_string()))),
    };
    match done {
        Ok(()) => report(Ok(Vec::new())),
        // the jails that are in order do their work
        Err(e) if !e.fatal && server.jails.len() > 0 => report(Ok(e.dropped)),
        Err(e) => return report(Err(e.error)),
    }
    notify::ready();
    std::future::pending().await
}

/// The signals the server minds (fact L3).
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    flush: Signal,
    /// Only in the foreground; a daemon ignores it.
    hang_up: Option<Signal>,
}

impl Signals {
    fn install(foreground: bool) -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            flush: signal(SignalKind::user_defined1())?,
            hang_up: match foreground {
                true => Some(signal(SignalKind::hangup())?),
                false => None,
            },
        })
    }

    /// Waits for a signal to end; answers the exit code.
    async fn until_the_end(&mut self, server: &Server) -> u8 {
        let hang_up = async {
            match &mut self.hang_up {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(hang_up);
        loop {
            tokio::select! {
                _ = self.terminate.recv() => {
                    debug!(LOG, "Caught signal 15. Exiting");
                    return 0;
                }
                _ = self.interrupt.recv() => {
                    debug!(LOG, "Caught signal 2. Exiting");
                    return 0;
                }
                // the terminal is gone: as the original, but without leaving files behind
                _ = &mut hang_up => return HUNG_UP,
                _ = self.flush.recv() => {
                    debug!(LOG, "Caught signal 10. Flushing logs");
                    server.flush_logs().await;
                }
            }
        }
    }

    /// Waits for a second signal to end; `first`: there was one.
    async fn second(&mut self, first: bool) {
        for _ in usize::from(first)..2 {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
            }
        }
        warning!(LOG, "Caught a second signal. Exiting at once");
    }
}

/// The pid file, removed at the end if it is still ours.
struct PidFile {
    path: PathBuf,
    identity: Option<(u64, u64)>,
}

impl PidFile {
    /// Writes it; a server without one works, too.
    fn create(path: &Path) -> PidFile {
        debug!(LOG, "Creating PID file {}", path.display());
        let name = path.display().to_string();
        let write = || {
            let mut file = fs::File::create(path)?;
            // half a number would name another process
            file.write_all(format!("{}\n", std::process::id()).as_bytes())
                .inspect_err(|_| drop(fs::remove_file(path)))
        };
        let written = make_directory_of(path)
            .and_then(|()| write().map_err(|e| CommandError::file(&e, &name)));
        if let Err(e) = &written {
            error!(LOG, "Unable to create PID file: {e}");
        }
        PidFile {
            path: path.to_owned(),
            identity: written.ok().and_then(|()| identity(path)),
        }
    }

    fn remove(self) {
        debug!(LOG, "Remove PID file {}", self.path.display());
        if self.identity.is_some()
            && self.identity == identity(&self.path)
            && let Err(e) = fs::remove_file(&self.path)
        {
            let e = CommandError::file(&e, &self.path.display().to_string());
            error!(LOG, "Unable to remove PID file: {e}");
        }
    }
}

/// The control socket's file, removed at the end if it is still ours.
#[derive(Debug)]
pub(super) struct Socket {
    path: PathBuf,
    identity: Option<(u64, u64)>,
}

impl Socket {
    /// systemd's: its file stays when the server ends.
    fn inherited(listener: UnixListener, path: &Path) -> (UnixListener, Socket) {
        let name = Value::from(path.display().to_string()).repr();
        info!(SOCKET, "Using socket activation, inherited socket {name}");
        let socket = Socket {
            path: path.to_owned(),
            identity: None,
        };
        (listener, socket)
    }

    /// Binds it. A socket file that nobody answers on was left by a server that was killed: it is
    /// removed (the original wants `-x` for that).
    pub(super) fn bind(path: &Path, force: bool) -> Result<(UnixListener, Socket), CommandError> {
        let already_running = || CommandError::new("Server already running");
        make_directory_of(path)?;
        if let Ok(there) = fs::symlink_metadata(path) {
            if force {
                error!(SOCKET, "Fail2ban seems to be already running");
                warning!(SOCKET, "Forcing execution of the server");
            } else if there.file_type().is_socket() && !answers(path) {
                warning!(
                    SOCKET,
                    "Removing stale socket file {}: no server answers",
                    path.display()
                );
            } else {
                error!(SOCKET, "Fail2ban seems to be already running");
                return Err(already_running());
            }
            let name = path.display().to_string();
            fs::remove_file(path).map_err(|e| CommandError::file(&e, &name))?;
        }
        let listener = UnixListener::bind(path).map_err(|e| {
            CommandError::new(format!("Unable to bind socket {}: {e}", path.display()))
        })?;
        let socket = Socket {
            path: path.to_owned(),
            identity: identity(path),
        };
        Ok((listener, socket))
    }

    pub(super) fn remove(&self) {
        if self.identity.is_some() && self.identity == identity(&self.path) {
            // it may be gone with its directory
            let _ = fs::remove_file(&self.path);
            debug!(SOCKET, "Removed socket file {}", self.path.display());
        }
    }
}

/// Device and inode: another server may have put its own file there.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let file = fs::symlink_metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}
