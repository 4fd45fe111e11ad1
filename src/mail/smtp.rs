//! Sends a mail to an SMTP server.

use std::time::Duration;

use lettre::address::Envelope;
use lettre::transport::smtp::SmtpTransport;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{Address, Transport};

use super::server::{Security, SmtpServer};
use super::{headers, mime};

/// Time for each step of the conversation.
const TIME: Duration = Duration::from_secs(30);

/// Sends a message; blocks.
///
/// # Errors
/// What the server or the addresses are at fault with, in words.
pub fn send(
    server: &SmtpServer,
    sender: &str,
    recipients: &[String],
    message: &[u8],
    domain: &str,
) -> Result<(), String> {
    let read = |text: &str| -> Result<Address, String> {
        headers::address(text, domain)
            .parse()
            .map_err(|error| format!("address {text:?}: {error}"))
    };
    let from = match sender.is_empty() {
        true => None,
        false => Some(read(sender)?),
    };
    let to = recipients
        .iter()
        .map(|text| read(text))
        .collect::<Result<Vec<_>, _>>()?;
    let envelope = Envelope::new(from, to).map_err(|error| error.to_string())?;
    let security = match server.security {
        Security::None => Tls::None,
        Security::StartTls => Tls::Required(tls(&server.host)?),
        Security::Tls => Tls::Wrapper(tls(&server.host)?),
    };
    let mut transport = SmtpTransport::builder_dangerous(&server.host)
        .port(server.port)
        .tls(security)
        .timeout(Some(TIME));
    if let Some((user, password)) = &server.login {
        transport = transport.credentials(Credentials::new(user.clone(), password.clone()));
    }
    let encoded;
    let message = match server.mime {
        true => {
            encoded = mime::encode(&String::from_utf8_lossy(message));
            encoded.as_bytes()
        }
        false => message,
    };
    transport
        .build()
        .send_raw(&envelope, &with_carriage_returns(message))
        .map(|_| ())
        .map_err(|error| error.to_string())
}

fn tls(host: &str) -> Result<TlsParameters, String> {
    TlsParameters::new(host.to_owned()).map_err(|error| error.to_string())
}

/// Line ends as the protocol wants them, none behind the last line; only then lone dots are
/// recognised and doubled.
fn with_carriage_returns(text: &[u8]) -> Vec<u8> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let mut out = Vec::with_capacity(text.len() + text.len() / 32);
    for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
        if at > 0 {
            out.extend_from_slice(b"\r\n");
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        // a lone carriage return is no line end to everybody, so it must not be one to anybody
        out.extend(
            line.iter()
                .map(|&byte| if byte == b'\r' { b' ' } else { byte }),
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_as_the_protocol_wants() {
        assert_eq!(with_carriage_returns(b"a\nb\r\nc\rd"), b"a\r\nb\r\nc d");
        assert_eq!(with_carriage_returns(b".\n"), b".");
    }

    #[test]
    fn addresses_must_be_such() {
        let server = SmtpServer::parse("smtp://127.0.0.1:1").unwrap();
        let error = send(&server, "a b", &["c@d".into()], b"", "x").unwrap_err();
        assert!(error.contains("address"), "{error}");
        let error = send(&server, "f", &["root".into()], b"", "example.org").unwrap_err();
        assert!(!error.contains("address"), "{error}");
    }
}
