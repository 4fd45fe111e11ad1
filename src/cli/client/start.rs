//! Starting the server: the client reads the configuration, starts the server process, waits for its
//! socket and sends the configuration over it (facts P61, C46–C50).

use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use super::serve;
use super::session::stream_of;
use super::session::{ClientSession, Show, TARGET};
use crate::cli::begin::Purpose;
use crate::control::Value;
use crate::error;
use crate::jail::validator::Validator;

/// Name the server process is started under.
const SERVER: &str = "fail2ban-server";

impl ClientSession {
    /// `start`: as a server process of its own, or with `-f` in this one.
    pub(super) fn start(&mut self) -> bool {
        if !self.setup.options.background {
            return serve::start(self) == ExitCode::SUCCESS;
        }
        let Some(stream) = self.prepare_start(&Validator::default()) else {
            return false;
        };
        let mut server = match self.spawn_server() {
            Ok(server) => server,
            Err(failure) => {
                error!(TARGET, "Exception while starting server background");
                error!(TARGET, "{}", failure);
                return false;
            }
        };
        // a server that fails says so in its log and on standard error; waiting longer is no use
        let failed = || matches!(server.try_wait(), Ok(Some(status)) if !status.success());
        self.configure_server(stream, failed)
    }

    /// What a start needs: no server running, a usable configuration, nothing in the socket's place.
    /// The commands for the server.
    pub fn prepare_start(&self, trials: &Validator) -> Option<Vec<Vec<Value>>> {
        if self.is_running() {
            error!(TARGET, "Server already running");
            return None;
        }
        let stream = self.setup.commands(None, Purpose::Start, trials)?;
        let socket = &self.setup.socket;
        if !self.setup.options.force && socket.exists() && !is_stale(socket) {
            error!(
                TARGET,
                "Fail2ban seems to be in unexpected state (not running but the socket exists)"
            );
            return None;
        }
        Some(stream)
    }

    /// Waits for the server's socket and sends the configuration; whether all of it was accepted.
    /// `given_up` tells that the server will not come.
    fn configure_server(&self, stream: Vec<Vec<Value>>, given_up: impl FnMut() -> bool) -> bool {
        if !self.wait(true, given_up) {
            error!(
                TARGET,
                "Could not start server. Maybe an old socket file is still present. Try to \
                 remove {}. If you used fail2ban-client to start the server, adding the -x option \
                 will do it",
                self.setup.socket.display()
            );
            return false;
        }
        let commands = [
            vec!["server-stream".into(), stream_of(stream)],
            vec!["server-status".into()],
        ];
        self.ask_all(&commands, Show::Status, None)
    }

    /// Starts this program as a server that waits to be configured. It goes to the background by
    /// itself; the process returned is the one that sees to that.
    fn spawn_server(&self) -> io::Result<Child> {
        let setup = &self.setup;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg0(SERVER)
            .args(["--async", "-b", "-s"])
            .arg(&setup.socket)
            .arg("-p")
            .arg(&setup.pidfile);
        if setup.options.force {
            command.arg("-x");
        }
        if let Ok(more @ 1..) = usize::try_from(setup.options.verbosity) {
            command.arg(format!("-{}", "v".repeat(more)));
        }
        if let Some(name) = &setup.options.process_name {
            command.args(["--pname", name]);
        }
        command
            .args(["--loglevel", &setup.loglevel])
            .args(["--logtarget", &setup.logtarget])
            .args(["--syslogsocket", &setup.syslogsocket])
            .stdin(Stdio::null())
            .spawn()
    }
}

/// Whether nobody listens on a socket any more: its server was killed. The server replaces such a
/// file, where the original wants `-x`.
fn is_stale(socket: &Path) -> bool {
    // a plain file refuses connections too
    let is_socket = socket
        .metadata()
        .is_ok_and(|file| file.file_type().is_socket());
    let refuses = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    is_socket && UnixStream::connect(socket).is_err_and(refuses)
}
