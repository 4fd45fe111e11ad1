use std::net::SocketAddr;
use std::time::Instant;

use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::*;

const LIMITS: HttpLimits = HttpLimits {
    time: Duration::from_secs(20),
    size: 1_000,
};

/// Reads a request up to this end, gives the answer and keeps the connection open.
async fn answer(
    mut stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    end: &str,
    answer: &[u8],
) -> String {
    let mut read = Vec::new();
    while !read.ends_with(end.as_bytes()) {
        let count = stream.read_buf(&mut read).await.unwrap();
        assert!(count > 0, "{}", String::from_utf8_lossy(&read));
    }
    // whoever asks may have enough before
    let _ = stream.write_all(answer).await;
    let _ = stream.flush().await;
    tokio::spawn(async move {
        let _ = stream.read(&mut [0]).await;
    });
    String::from_utf8(read).unwrap()
}

/// A server for one request.
async fn server(end: &'static str, says: Vec<u8>) -> (SocketAddr, oneshot::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (heard, request) = oneshot::channel();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let _ = heard.send(answer(stream, end, &says).await);
    });
    (address, request)
}

async fn get(url: &str) -> Result<Response, HttpError> {
    let client = HttpClient::new(Tls::default()).unwrap();
    client.request("GET", url, &[], Vec::new(), LIMITS).await
}

#[tokio::test]
async fn a_request_is_sent_and_its_answer_read() {
    let says = b"HTTP/1.1 404 Not Found\r\nX-Is: so\r\nTransfer-Encoding: chunked\r\n\r\n\
        2\r\nno\r\n3\r\nne.\r\n0\r\n\r\n";
    let (address, request) = server("{1}", says.to_vec()).await;
    let client = HttpClient::new(Tls::default()).unwrap();
    let url = format!("http://{address}/a?b=%20c");
    let headers = [("Content-Type", "text/plain"), ("user-agent", "x/1")];
    let response = client
        .request("POST", &url, &headers, b"{1}".to_vec(), LIMITS)
        .await
        .unwrap();
    assert_eq!((response.status, &response.body[..]), (404, &b"none."[..]));
    assert_eq!(response.headers["x-is"], "so");
    assert!(!response.is_success());
    let request = request.await.unwrap();
    assert!(
        request.starts_with("POST /a?b=%20c HTTP/1.1\r\n"),
        "{request}"
    );
    for part in [
        &*format!("\r\nhost: {address}\r\n"),
        "\r\nuser-agent: x/1\r\n",
        "\r\ncontent-type: text/plain\r\n",
        "\r\ncontent-length: 3\r\n",
    ] {
        assert!(request.contains(part), "{request}");
    }
}

#[tokio::test]
async fn a_body_beyond_its_limit_is_not_read() {
    let says = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n{}",
        "x".repeat(1001)
    );
    let (address, _request) = server("\r\n\r\n", says.into_bytes()).await;
    let error = get(&format!("http://{address}")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("response of {address} exceeds 1000 bytes")
    );
    let says = format!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}",
        "x".repeat(5000)
    );
    let (address, _request) = server("\r\n\r\n", says.into_bytes()).await;
    let error = get(&format!("http://{address}")).await.unwrap_err();
    assert!(matches!(error, HttpError::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn who_hangs_is_left() {
    for says in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
    ] {
        let (address, _request) = server("\r\n\r\n", says.to_vec()).await;
        let client = HttpClient::new(Tls::default()).unwrap();
        let limits = HttpLimits {
            time: Duration::from_millis(200),
            ..LIMITS
        };
        let began = Instant::now();
        let url = format!("http://{address}/");
        let error = client
            .request("GET", &url, &[], Vec::new(), limits)
            .await
            .unwrap_err();
        assert!(matches!(error, HttpError::Late { .. }), "{error}");
        assert!(began.elapsed() >= limits.time);
    }
}

#[tokio::test]
async fn what_is_no_http_is_an_error() {
    for says in [
        &b"SSH-2.0-OpenSSH\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x00\xff\x00\xff\r\n\r\n",
    ] {
        let (address, _request) = server("\r\n\r\n", says.to_vec()).await;
        let error = get(&format!("http://{address}/")).await.unwrap_err();
        assert!(matches!(error, HttpError::Answer { .. }), "{error}");
    }
}

#[tokio::test]
async fn nobody_there_is_an_error_that_names_whom() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = get(&format!("http://{address}/secret")).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("cannot connect to {address}: ")),
        "{text}"
    );
    assert!(!text.contains("secret"));
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused() {
    for url in [
        "",
        "/path",
        "ftp://host/",
        "http://",
        "host:80",
        "http://user:secret@host/",
        "http://a b/",
    ] {
        let error = get(url).await.unwrap_err();
        assert!(matches!(error, HttpError::Url(_)), "{url}: {error}");
    }
    let client = HttpClient::new(Tls::default()).unwrap();
    let header = [("x", "a\r\nevil: 1")];
    for (method, headers) in [
        ("GE T", &header[..0]),
        ("GET", &header),
        ("GET", &[("a b", "")]),
    ] {
        let asked = client.request(method, "http://localhost/", headers, Vec::new(), LIMITS);
        let error = asked.await.unwrap_err();
        assert!(matches!(error, HttpError::Unsendable(_)), "{error}");
        assert!(!error.to_string().contains("evil"));
    }
}

#[tokio::test]
async fn a_unix_socket_serves_as_well() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        answer(
            stream,
            "\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        )
        .await;
    });
    let client = HttpClient::over_socket(&path);
    let response = client
        .request("GET", "http://lapi/v1", &[], Vec::new(), LIMITS)
        .await
        .unwrap();
    assert_eq!(response.body, b"ok");
}

/// A certificate of its own maker for `127.0.0.1`, and its key, in files.
fn certificate(directory: &TempDir, name: &str) -> (PathBuf, PathBuf) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let file = |end| directory.path().join(format!("{name}{end}"));
    std::fs::write(file(".pem"), made.cert.pem()).unwrap();
    std::fs::write(file(".key"), made.signing_key.serialize_pem()).unwrap();
    (file(".pem"), file(".key"))
}

/// A server with TLS that lets in who shows this certificate, for any number of requests.
async fn secure_server(own: &(PathBuf, PathBuf), client: &Path) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots
        .add(tls::certificates(client).unwrap()[0].clone())
        .unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(
            tls::certificates(&own.0).unwrap(),
            tls::private_key(&own.1).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(stream) = acceptor.accept(stream).await {
                let says = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                answer(stream, "\r\n\r\n", says).await;
            }
        }
    });
    address
}

#[tokio::test]
async fn tls_checks_the_server_and_shows_who_asks() {
    let directory = TempDir::new().unwrap();
    let server = certificate(&directory, "server");
    let client = certificate(&directory, "client");
    let address = secure_server(&server, &client.0).await;
    let ask = async |ca: &Path, certificate: Option<(PathBuf, PathBuf)>| {
        let tls = Tls {
            ca: Some(ca.to_owned()),
            certificate,
        };
        let url = format!("https://{address}/");
        let client = HttpClient::new(tls).unwrap();
        client.request("GET", &url, &[], Vec::new(), LIMITS).await
    };
    let response = ask(&server.0, Some(client.clone())).await.unwrap();
    assert_eq!(response.body, b"ok");
    // of another maker, and without a certificate of its own
    let error = ask(&client.0, Some(client.clone())).await.unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
    ask(&server.0, None).await.unwrap_err();
}

#[test]
fn files_without_certificates_are_named() {
    let directory = TempDir::new().unwrap();
    let (certificate, key) = certificate(&directory, "a");
    let missing = directory.path().join("missing");
    let client = |ca: &Path, pair: Option<(&Path, &Path)>| {
        let certificate = pair.map(|(one, other)| (one.to_owned(), other.to_owned()));
        let tls = Tls {
            ca: Some(ca.to_owned()),
            certificate,
        };
        HttpClient::new(tls).map(drop)
    };
    for (tried, name) in [
        (client(&missing, None), &missing),
        (client(&key, None), &key),
        (client(&certificate, Some((&missing, &key))), &missing),
        (
            client(&certificate, Some((&certificate, &certificate))),
            &certificate,
        ),
    ] {
        let error = tried.unwrap_err().to_string();
        assert!(error.contains(&*name.to_string_lossy()), "{error}");
    }
}
