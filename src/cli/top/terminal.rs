//! The terminal while it is ours: another screen, no cursor, keys as they are pressed.

use std::io::{self, Read as _, Write as _};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use console::Term;
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};

/// Bytes that end the program: q, Q, and what Ctrl-C and Ctrl-D send.
const ENDS: [u8; 4] = [b'q', b'Q', 3, 4];

/// The terminal, until it is dropped.
pub struct Terminal {
    /// How it was; `None`: keys come from elsewhere.
    settings: Option<Termios>,
    /// Somebody wants the end.
    ends: Receiver<()>,
}

impl Terminal {
    /// Takes it.
    ///
    /// # Errors
    /// It cannot be written to.
    pub fn take() -> io::Result<Terminal> {
        let settings = tcgetattr(io::stdin()).ok();
        if let Some(settings) = &settings {
            let mut ours = settings.clone();
            ours.local_flags
                .remove(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG);
            tcsetattr(io::stdin(), SetArg::TCSANOW, &ours)?;
        }
        let (end, ends) = mpsc::channel();
        if settings.is_some() {
            let end = end.clone();
            thread::spawn(move || {
                let pressed = io::stdin().lock().bytes().map_while(Result::ok);
                let mut pressed = pressed.filter(|byte| ENDS.contains(byte));
                if pressed.next().is_some() {
                    let _ = end.send(());
                }
            });
        }
        thread::spawn(move || {
            if wait_for_signal().is_ok() {
                let _ = end.send(());
            }
        });
        let terminal = Terminal { settings, ends };
        let mut out = io::stdout();
        out.write_all(b"\x1b[?1049h\x1b[?25l")?;
        out.flush()?;
        Ok(terminal)
    }

    /// Lines and columns.
    pub fn size(&self) -> (u16, u16) {
        Term::stdout().size()
    }

    /// Waits; answers whether somebody wants the end meanwhile.
    pub fn ends_within(&self, time: Duration) -> bool {
        match self.ends.recv_timeout(time) {
            Ok(()) => true,
            Err(RecvTimeoutError::Timeout) => false,
            // nobody is left who could say so
            Err(RecvTimeoutError::Disconnected) => {
                thread::sleep(time);
                false
            }
        }
    }
}

/// Waits until the process is told to end.
fn wait_for_signal() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hang_up.recv() => {}
        }
        Ok(())
    })
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // when it is gone there is nothing to give back
        let mut out = io::stdout();
        let _ = out.write_all(b"\x1b[?25h\x1b[?1049l");
        let _ = out.flush();
        if let Some(settings) = &self.settings {
            let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, settings);
        }
    }
}
