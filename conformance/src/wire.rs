//! Requests over TLS, octet by octet, and what an access point answers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use openssl::ssl::{ShutdownResult, SslConnector, SslMethod, SslVerifyMode};

use crate::as4::Request;

/// What an access point answered.
#[derive(Debug, Clone)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers as they came.
    pub head: String,
    /// Body as text.
    pub body: String,
}

impl Reply {
    /// The EBMS codes of an error signal.
    pub fn codes(&self) -> Vec<&str> {
        self.body.split("errorCode=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect()
    }

    /// Whether it is a receipt.
    pub fn is_receipt(&self) -> bool {
        self.status == 200 && self.body.contains(":Receipt") && self.codes().is_empty()
    }

    /// Whether it carries a signature.
    pub fn is_signed(&self) -> bool {
        self.body.contains("SignatureValue")
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }
}

/// Sends a request on a connection of its own; the server's certificate is not looked at.
pub async fn send(to: SocketAddr, request: &Request) -> Result<Reply> {
    let octets = request.octets(&to.to_string());
    let answer = tokio::task::spawn_blocking(move || exchange(to, &octets, false)).await??;
    read(&answer)
}

/// The same without TLS.
pub async fn send_plain(to: SocketAddr, request: &Request) -> Result<Reply> {
    let octets = request.octets(&to.to_string());
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = connect(to)?;
        let _ = stream.write_all(&octets).and_then(|()| stream.flush());
        anyhow::Ok(rest(&mut stream))
    });
    read(&answer.await??)
}

/// Sends octets and then says that no more will come; gives whatever came back, which may be nothing.
pub async fn send_and_break_off(to: SocketAddr, octets: Vec<u8>) -> Result<Vec<u8>> {
    tokio::task::spawn_blocking(move || exchange(to, &octets, true)).await?
}

/// Sends octets, then one more each second; whether the other side closes the connection within `limit`.
pub fn until_closed(to: SocketAddr, plain: bool, octets: &[u8], limit: Duration) -> Result<bool> {
    let tcp = connect(to)?;
    tcp.set_read_timeout(Some(Duration::from_secs(1)))?;
    if plain {
        return is_closed(tcp, octets, limit);
    }
    let mut builder = SslConnector::builder(SslMethod::tls())?;
    builder.set_verify(SslVerifyMode::NONE);
    is_closed(builder.build().configure()?.verify_hostname(false).connect("localhost", tcp)?, octets, limit)
}

fn is_closed(mut stream: impl Read + Write, octets: &[u8], limit: Duration) -> Result<bool> {
    stream.write_all(octets)?;
    stream.flush()?;
    let begun = std::time::Instant::now();
    let mut buffer = [0; 16 * 1024];
    while begun.elapsed() < limit {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(true),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                if stream.write_all(b"x").and_then(|()| stream.flush()).is_err() {
                    return Ok(true);
                }
            }
            Err(_) => return Ok(true),
        }
    }
    Ok(false)
}

fn exchange(to: SocketAddr, octets: &[u8], end: bool) -> Result<Vec<u8>> {
    let mut builder = SslConnector::builder(SslMethod::tls())?;
    builder.set_verify(SslVerifyMode::NONE);
    let mut stream =
        builder.build().configure()?.verify_hostname(false).connect("localhost", connect(to)?)?;
    // A server that has seen enough may answer and close while we still write.
    let written = stream.write_all(octets).and_then(|()| stream.flush());
    if end && written.is_ok() {
        let _: std::result::Result<ShutdownResult, _> = stream.shutdown();
    }
    Ok(rest(&mut stream))
}

fn connect(to: SocketAddr) -> Result<TcpStream> {
    let tcp = TcpStream::connect(to).with_context(|| format!("cannot connect to {to}"))?;
    tcp.set_read_timeout(Some(Duration::from_secs(30)))?;
    Ok(tcp)
}

fn rest(stream: &mut impl Read) -> Vec<u8> {
    let mut answer = Vec::new();
    let mut buffer = [0; 16 * 1024];
    while let Ok(count) = stream.read(&mut buffer) {
        if count == 0 {
            break;
        }
        answer.extend_from_slice(&buffer[..count]);
    }
    answer
}

fn read(answer: &[u8]) -> Result<Reply> {
    let text = String::from_utf8_lossy(answer);
    ensure!(!text.is_empty(), "the connection was closed without an answer");
    let (head, body) = text.split_once("\r\n\r\n").context("no end of the head")?;
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).context("no status")?;
    Ok(Reply { status, head: head.to_owned(), body: body.to_owned() })
}
