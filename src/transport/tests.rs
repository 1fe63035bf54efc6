//! Client and server against each other, over real sockets and real handshakes.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::HeaderValue;
use hyper::{Request as HttpRequest, Response as HttpResponse, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::body::{BodyError, RequestBody};
use super::*;
use crate::pki::TrustStore;
use crate::pki::testing::{self, Options, Pair};

const HERE: &[&str] = &["localhost", "127.0.0.1"];

fn server_pair(ca: &Pair) -> Pair {
    testing::certificate("CN=localhost", &Options { hosts: HERE, ..Options::default() }, Some(ca))
}

fn identity(pair: &Pair) -> Identity {
    Identity { certificate: pair.0.clone(), chain: Vec::new(), key: pair.1.clone() }
}

fn loopback() -> Egress {
    Egress { allow: vec!["127.0.0.0/8".parse().unwrap()], ports: Vec::new(), plain_http: true }
}

fn client(tls: ClientTls) -> Client {
    let [connect, idle, answer, total] = [2, 1, 2, 8].map(Duration::from_secs);
    let timeouts = ClientTimeouts { connect, idle, answer, total };
    Client::new(ClientConfig { tls, egress: loopback(), timeouts, ..ClientConfig::default() }).unwrap()
}

fn trusting(ca: &Pair) -> ClientTls {
    ClientTls { anchors: Some(TrustStore::new(vec![ca.0.clone()])), ..ClientTls::default() }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// An authority, and a list that another one of its name has signed.
static FORGED: LazyLock<(Pair, Vec<u8>)> = LazyLock::new(|| {
    let options = Options { ca: true, rsa: true, ..Options::default() };
    let [ca, forger] = [(); 2].map(|()| testing::certificate("CN=ca", &options, None));
    (ca, testing::crl(&forger, &[]))
});

/// Answers with method, body length and the peer's subject; `/slow` waits first, `/at-once` does not read the body.
async fn echo(request: HttpRequest<RequestBody>) -> Result<HttpResponse<Full<Bytes>>, Infallible> {
    let peer = request.extensions().get::<Peer>().unwrap().clone();
    let (head, body) = request.into_parts();
    if head.uri.path() == "/slow" {
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    if head.uri.path() == "/forged" {
        // A wrong RSA signature leaves an error in OpenSSL's queue of this thread.
        let (ca, list) = &*FORGED;
        assert!(crate::pki::Crl::read(list, &ca.0).is_err());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    if head.uri.path() == "/at-once" {
        drop(body);
        return Ok(HttpResponse::new(Full::from("refused")));
    }
    let answer = match body.collect().await {
        Ok(body) => {
            let subject = peer.tls.certificate.map(|c| c.subject()).unwrap_or_default();
            HttpResponse::new(Full::from(format!("{} {} {subject}", head.method, body.to_bytes().len())))
        }
        Err(error) => {
            let status = if matches!(error, BodyError::Idle(_)) {
                StatusCode::REQUEST_TIMEOUT
            } else {
                StatusCode::BAD_REQUEST
            };
            let mut answer = HttpResponse::new(Full::from(error.to_string()));
            *answer.status_mut() = status;
            answer
        }
    };
    Ok(answer)
}

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<()>,
}

impl Running {
    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }
}

async fn start(tls: Option<ServerTls>, limits: ServerLimits) -> Running {
    let server = Server::bind(local(0), tls.as_ref(), limits).await.unwrap();
    let address = server.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let ended = tokio::spawn(server.run(tower::service_fn(echo), async {
        let _ = stopped.await;
    }));
    Running { address, stop, ended }
}

fn post(url: String, octets: Vec<u8>) -> Request {
    Request::post(url, HeaderValue::from_static("text/plain"), octets, 1 << 20)
}

fn text(response: &Response) -> String {
    String::from_utf8(response.body.to_vec()).unwrap()
}

#[tokio::test]
async fn what_goes_wrong_elsewhere_on_the_thread_breaks_no_connection() {
    let ca = testing::ca("CN=ca");
    let tls = ServerTls { identity: identity(&server_pair(&ca)), client_auth: ClientAuth::None };
    let server = start(Some(tls), ServerLimits::default()).await;
    let client = client(trusting(&ca));
    LazyLock::force(&FORGED);
    for _ in 0..5 {
        let answer = client.send(post(server.url("/forged"), vec![7; 100])).await.unwrap();
        assert_eq!(text(&answer), "POST 100 ");
    }
}

#[tokio::test]
async fn both_sides_know_each_other_by_certificate() {
    let ca = testing::ca("CN=ca");
    let tls = ServerTls {
        identity: identity(&server_pair(&ca)),
        client_auth: ClientAuth::Required(TrustStore::new(vec![ca.0.clone()])),
    };
    let server = start(Some(tls.clone()), ServerLimits::default()).await;
    let known = ClientTls {
        identity: Some(identity(&testing::issued("CN=me", &ca, testing::LONG))),
        ..trusting(&ca)
    };
    let client_with = client(known);
    for _ in 0..3 {
        let answer = client_with.send(post(server.url("/"), vec![1; 100_000])).await.unwrap();
        assert_eq!((text(&answer).as_str(), answer.sent), ("POST 100000 CN=me", Sent::Maybe));
        assert!(answer.peer.authenticated);
        assert_eq!(answer.peer.fingerprint().unwrap(), tls.identity.certificate.sha256_hex());
    }
    assert!(
        client(trusting(&ca)).send(post(server.url("/"), vec![1])).await.is_err(),
        "no certificate shown"
    );
    let stranger =
        ClientTls { identity: Some(identity(&testing::self_signed("CN=x", testing::LONG))), ..trusting(&ca) };
    assert!(client(stranger).send(post(server.url("/"), vec![1])).await.is_err());
}

#[tokio::test]
async fn an_optional_certificate_may_be_missing() {
    let ca = testing::ca("CN=ca");
    let client_auth = ClientAuth::Optional(TrustStore::new(vec![ca.0.clone()]));
    let server = start(
        Some(ServerTls { identity: identity(&server_pair(&ca)), client_auth }),
        ServerLimits::default(),
    )
    .await;
    let answer = client(trusting(&ca)).send(Request::get(server.url("/"), 100)).await.unwrap();
    assert_eq!(text(&answer), "GET 0 ");
}

#[tokio::test]
async fn the_servers_certificate_is_checked() {
    let (ca, other) = (testing::ca("CN=ca"), testing::ca("CN=other"));
    let wrong_host =
        testing::certificate("CN=x", &Options { hosts: &["example.org"], ..Options::default() }, Some(&ca));
    let server = start(
        Some(ServerTls { identity: identity(&wrong_host), client_auth: ClientAuth::None }),
        ServerLimits::default(),
    )
    .await;
    let ask = |tls: ClientTls| async { client(tls).send(Request::get(server.url("/"), 100)).await };
    for refused in [trusting(&ca), trusting(&other), ClientTls::default()] {
        let error = ask(refused).await.unwrap_err();
        assert!(matches!(error, Error::Tls { .. }), "{error}");
        assert_eq!(error.sent(), Sent::Nothing);
    }
    let path_only = ClientTls { check: ServerCheck::PathOnly, ..trusting(&ca) };
    assert!(ask(path_only).await.unwrap().peer.authenticated);
    let pinned = ClientTls { check: ServerCheck::PathOnly, ..trusting(&wrong_host) };
    assert!(ask(pinned).await.unwrap().peer.authenticated);
    let nothing = ClientTls { check: ServerCheck::Nothing, ..ClientTls::default() };
    let answer = ask(nothing).await.unwrap();
    assert!(!answer.peer.authenticated && answer.peer.certificate.is_some());
}

/// Writes a whole request before it reads anything, as most AS4 stacks do.
async fn write_then_read(to: SocketAddr, more: &str, body: &[u8], announced: usize) -> String {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let head = format!("POST /at-once HTTP/1.1\r\nHost: here\r\nContent-Length: {announced}\r\n{more}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.expect("the server must take the whole request");
    let mut answer = vec![0; 4096];
    let count = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..count]).into_owned()
}

#[tokio::test]
async fn an_answer_given_before_the_body_was_read_reaches_a_peer_that_writes_first() {
    let running = start(None, ServerLimits::default()).await;
    let body = vec![b'x'; 20 << 20];
    let answer = write_then_read(running.address, "", &body, body.len()).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("refused"), "{answer}");
    let expecting = write_then_read(running.address, "Expect: 100-continue\r\n", b"", 1000).await;
    assert!(expecting.starts_with("HTTP/1.1 200"), "nobody wants that body: {expecting}");
}

#[tokio::test]
async fn old_tls_is_refused() {
    let ca = testing::ca("CN=ca");
    let server = start(
        Some(ServerTls { identity: identity(&server_pair(&ca)), client_auth: ClientAuth::None }),
        ServerLimits::default(),
    )
    .await;
    let mut builder = openssl::ssl::SslConnector::builder(openssl::ssl::SslMethod::tls_client()).unwrap();
    builder.set_verify(openssl::ssl::SslVerifyMode::NONE);
    builder.set_max_proto_version(Some(openssl::ssl::SslVersion::TLS1_1)).unwrap();
    let ssl = builder.build().configure().unwrap().into_ssl("localhost").unwrap();
    let tcp = TcpStream::connect(server.address).await.unwrap();
    let mut stream = tokio_openssl::SslStream::new(ssl, tcp).unwrap();
    assert!(std::pin::Pin::new(&mut stream).connect().await.is_err());
}

#[tokio::test]
async fn the_gate_holds_before_a_connection_is_made() {
    let strict = Client::new(ClientConfig::default()).unwrap();
    let strict = &strict;
    let error = |url: &'static str| async move { strict.send(Request::get(url, 10)).await.unwrap_err() };
    assert!(matches!(error("https://127.0.0.1/").await, Error::EgressAddress { .. }));
    assert!(matches!(error("https://[::1]/").await, Error::EgressAddress { .. }));
    assert!(matches!(error("https://localhost/").await, Error::EgressAddress { .. }));
    assert!(matches!(error("https://127.0.0.1:8443/").await, Error::EgressPort { port: 8443, .. }));
    for wrong in ["http://127.0.0.1/", "https://a@127.0.0.1/", "ftp://x/", "nonsense", "https:///x"] {
        assert!(matches!(error(wrong).await, Error::Url { .. }), "{wrong}");
    }
}

#[tokio::test]
async fn nothing_was_sent_when_nobody_listens_or_the_name_is_unknown() {
    let free = TcpListener::bind(local(0)).await.unwrap().local_addr().unwrap().port();
    let client = client(ClientTls::default());
    let error = client.send(post(format!("http://127.0.0.1:{free}/"), vec![1])).await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }) && error.sent() == Sent::Nothing, "{error:?}");
    let error = client.send(post("http://nowhere.invalid/".to_owned(), vec![1])).await.unwrap_err();
    assert!(matches!(error, Error::Resolve { .. }) && error.sent() == Sent::Nothing, "{error:?}");
}

/// Takes one connection, reads `read` octets, then does what `then` says.
async fn peer(read: usize, then: &'static [u8], keep_open: bool) -> String {
    let listener = TcpListener::bind(local(0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut octets = vec![0; read];
        let _ = stream.read_exact(&mut octets).await;
        let _ = stream.write_all(then).await;
        if keep_open {
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
    });
    format!("http://127.0.0.1:{port}/")
}

#[tokio::test]
async fn a_break_is_uncertain_only_once_the_whole_body_was_handed_over() {
    let client = client(ClientTls::default());
    let whole = client.send(post(peer(200, b"", false).await, vec![1; 100])).await.unwrap_err();
    assert!(matches!(whole, Error::Connection { .. }) && whole.sent() == Sent::Maybe, "{whole:?}");

    let (sender, body) = body::channel(1);
    let url = peer(150, b"", false).await;
    tokio::spawn(async move {
        let _ = sender.send(Ok(Bytes::from(vec![1; 100]))).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
    });
    let half = client.send(Request { body, content_length: 200, ..post(url, vec![]) }).await.unwrap_err();
    assert!(matches!(half, Error::Connection { .. }) && half.sent() == Sent::Nothing, "{half:?}");
}

#[tokio::test]
async fn a_silent_peer_is_given_up() {
    let client = client(ClientTls::default());
    let silent = client.send(post(peer(usize::MAX >> 40, b"", true).await, vec![1; 100])).await.unwrap_err();
    assert!(
        matches!(silent, Error::TimedOut { phase: "answer", .. }) && silent.sent() == Sent::Maybe,
        "{silent:?}"
    );
    let deaf = client.send(post(peer(10, b"", true).await, vec![1; 64 << 20])).await.unwrap_err();
    assert_eq!(deaf.sent(), Sent::Maybe, "one chunk in memory is handed over at once");
    let slow = client
        .send(post(peer(200, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", true).await, vec![1; 100]));
    let slow = slow.await.unwrap_err();
    assert!(matches!(slow, Error::TimedOut { phase: "go on answering", .. }), "{slow:?}");
}

#[tokio::test]
async fn a_body_that_is_not_as_announced_is_our_error() {
    let server = start(None, ServerLimits::default()).await;
    let url = format!("http://{}/", server.address);
    let client = client(ClientTls::default());
    for (octets, announced) in [(100, 120), (100, 80)] {
        let (sender, body) = body::channel(1);
        sender.send(Ok(Bytes::from(vec![1; octets]))).await.unwrap();
        drop(sender);
        let error = client
            .send(Request { body, content_length: announced, ..post(url.clone(), vec![]) })
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Body { .. }) && error.sent() == Sent::Nothing, "{error:?}");
    }
}

#[tokio::test]
async fn answers_are_limited_and_redirects_are_answers() {
    let client = client(ClientTls::default());
    let url = peer(
        50,
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 3\r\n\r\nabc",
        true,
    )
    .await;
    let answer = client.send(Request::get(url, 3)).await.unwrap();
    assert_eq!((answer.status, text(&answer).as_str()), (StatusCode::FOUND, "abc"));
    let url = peer(50, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd", true).await;
    assert!(matches!(client.send(Request::get(url, 3)).await, Err(Error::ResponseTooLarge { limit: 3, .. })));
}

/// Sends octets on a fresh connection and reads until the server closes it.
async fn raw(address: SocketAddr, octets: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(octets).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "the server does not close");
    String::from_utf8(answer).unwrap()
}

/// Sends a body octet by octet, with that pause between them, and never ends; gives what the server answers.
async fn drip(address: SocketAddr, pause: Duration) -> String {
    let (mut reader, mut writer) = TcpStream::connect(address).await.unwrap().into_split();
    let head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n";
    writer.write_all(head).await.unwrap();
    let dripping = tokio::spawn(async move {
        while writer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(pause).await;
        }
    });
    let mut answer = vec![0; 1000];
    let read = tokio::time::timeout(Duration::from_secs(5), reader.read(&mut answer)).await;
    dripping.abort();
    answer.truncate(read.expect("the server waits on").unwrap());
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_stretched_request_is_cut_off() {
    let short = Duration::from_millis(200);
    let limits = ServerLimits {
        header_read: short,
        body_idle: short,
        header_octets: 1000,
        headers: 4,
        ..ServerLimits::default()
    };
    let server = start(None, limits).await;
    assert_eq!(raw(server.address, b"POST / HTTP/1.1\r\nHos").await, "", "a slow head");
    assert_eq!(raw(server.address, b"").await, "", "no head at all");
    let idle = raw(server.address, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab").await;
    assert!(idle.starts_with("HTTP/1.1 408"), "{idle}");
    assert!(drip(server.address, short / 4).await.starts_with("HTTP/1.1 408"), "a body of single octets");
    let long = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", "x".repeat(2000));
    assert!(raw(server.address, long.as_bytes()).await.starts_with("HTTP/1.1 431"));
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(5));
    assert!(raw(server.address, many.as_bytes()).await.starts_with("HTTP/1.1 431"));
}

#[tokio::test]
async fn further_connections_wait_for_room() {
    let limits =
        ServerLimits { connections: 1, header_read: Duration::from_millis(300), ..ServerLimits::default() };
    let server = start(None, limits).await;
    let _first = TcpStream::connect(server.address).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let begun = std::time::Instant::now();
    let answer =
        client(ClientTls::default()).send(Request::get(format!("http://{}/", server.address), 100)).await;
    assert_eq!(answer.unwrap().status, StatusCode::OK);
    assert!(begun.elapsed() > Duration::from_millis(150), "served beside the first");
}

#[tokio::test]
async fn a_stop_lets_running_requests_end() {
    let server = start(None, ServerLimits::default()).await;
    let url = format!("http://{}/slow", server.address);
    // Made first: on a busy machine reading the system's anchors takes longer than the pause below.
    let client = client(ClientTls::default());
    let running = tokio::spawn(async move { client.send(Request::get(url, 100)).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.stop.send(()).unwrap();
    assert_eq!(running.await.unwrap().unwrap().status, StatusCode::OK);
    tokio::time::timeout(Duration::from_secs(5), server.ended).await.unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn an_axum_router_is_served_too() {
    let router = axum::Router::new().route("/", axum::routing::get(|| async { "routed" }));
    let server = Server::bind(local(0), None, ServerLimits::default()).await.unwrap();
    let address = server.local_addr().unwrap();
    tokio::spawn(server.run(router, std::future::pending()));
    let answer =
        client(ClientTls::default()).send(Request::get(format!("http://{address}/"), 100)).await.unwrap();
    assert_eq!(text(&answer), "routed");
}
