//! Lines printed by a command (`docker logs -f`, `tail -F` over ssh). A command that ends is started again,
//! after a pause that doubles while it keeps ending early.

use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::{LONGEST_LINE, Outlet, PIECE, TARGET};
use crate::{info, warning};

const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Runs the command for ever.
pub(super) async fn run(command: String, outlet: Outlet) {
    let mut pause = PAUSE;
    loop {
        let began = Instant::now();
        info!(TARGET, "Read lines from command: {}", command);
        let child = tokio::process::Command::new("/bin/sh")
            .args(["-c", &command])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        let ended = match child {
            Ok(mut child) => {
                let group = ProcessGroup(child.id());
                if let Some(output) = child.stdout.take() {
                    forward(output, &outlet).await;
                }
                drop(group);
                match child.wait().await {
                    Ok(status) => status.to_string(),
                    Err(error) => error.to_string(),
                }
            }
            Err(error) => error.to_string(),
        };
        if began.elapsed() > LONGEST_PAUSE {
            pause = PAUSE;
        }
        warning!(
            TARGET,
            "Command ended ({}), starts again in {} s: {}",
            ended,
            pause.as_secs(),
            command
        );
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The processes of a command, ended when nobody reads them any more.
struct ProcessGroup(Option<u32>);

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        let group = self.0.and_then(|id| i32::try_from(id).ok());
        if let Some(group) = group {
            // an error says that all have ended
            let group = nix::unistd::Pid::from_raw(group);
            let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGTERM);
        }
    }
}

/// Whole lines of a stream, until it ends.
pub(super) async fn forward(mut stream: impl AsyncRead + Unpin, outlet: &Outlet) {
    let mut buffer = Vec::with_capacity(PIECE);
    loop {
        buffer.reserve(PIECE);
        match stream.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let whole = match memchr::memrchr(b'\n', &buffer) {
            Some(end) => end + 1,
            None if buffer.len() >= LONGEST_LINE => {
                buffer.push(b'\n');
                buffer.len()
            }
            None => continue,
        };
        let rest = buffer.split_off(whole);
        outlet.send(std::mem::replace(&mut buffer, rest)).await;
    }
}
