//! TLS of the endpoint, seen by a client of the suite.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use openssl::ssl::{SslConnector, SslConnectorBuilder, SslMethod, SslStream, SslVerifyMode, SslVersion};

use super::super::context::Ctx;
use super::super::verdict::skip;
use super::{Case, case};

/// The cases of this file.
pub fn cases() -> Vec<Case> {
    vec![
        case("AS4_CP_TA40", old_versions),
        case("AS4_CP_TA41", ssl),
        case("AS4_CP_TA42", weak_suites),
        case("AS4_CP_TA43", good_suites),
    ]
}

fn tcp(ctx: &Ctx) -> Result<TcpStream> {
    if ctx.endpoint.plain {
        return skip("the endpoint is reached without TLS (plain = true)");
    }
    let tcp = TcpStream::connect_timeout(&ctx.endpoint.address, Duration::from_secs(10))?;
    tcp.set_read_timeout(Some(Duration::from_secs(10)))?;
    Ok(tcp)
}

/// A handshake with a client that is set up so. At security level 0 the client refuses nothing by itself.
fn handshake(
    ctx: &Ctx,
    set: impl Fn(&mut SslConnectorBuilder) -> Result<()>,
) -> Result<SslStream<TcpStream>> {
    let mut builder = SslConnector::builder(SslMethod::tls())?;
    builder.set_verify(SslVerifyMode::NONE);
    builder.set_cipher_list("ALL:@SECLEVEL=0")?;
    set(&mut builder)?;
    let connector = builder.build().configure()?.verify_hostname(false);
    connector.connect("localhost", tcp(ctx)?).map_err(|error| anyhow::anyhow!("{error}"))
}

fn version(builder: &mut SslConnectorBuilder, version: SslVersion) -> Result<()> {
    builder.set_min_proto_version(Some(version))?;
    Ok(builder.set_max_proto_version(Some(version))?)
}

/// The measure of every refusal: a usual client is let in.
fn measure(ctx: &Ctx) -> Result<()> {
    handshake(ctx, |_| Ok(())).context("not even a usual client is let in").map(drop)
}

pub async fn old_versions(ctx: Ctx) -> Result<()> {
    drop(tcp(&ctx)?);
    measure(&ctx)?;
    for old in [SslVersion::TLS1, SslVersion::TLS1_1] {
        let refused = handshake(&ctx, |b| version(b, old));
        ensure!(refused.is_err(), "a client of {old:?} is let in");
    }
    handshake(&ctx, |b| version(b, SslVersion::TLS1_2)).context("TLS 1.2")?;
    if ctx.endpoint.name == "tilts" {
        handshake(&ctx, |b| version(b, SslVersion::TLS1_3)).context("TLS 1.3")?;
    }
    Ok(())
}

/// A ClientHello by hand, for versions that no library speaks any more; whether a ServerHello of that version comes back.
fn hello(ctx: &Ctx, octets: &[u8]) -> Result<Vec<u8>> {
    let mut stream = tcp(ctx)?;
    stream.write_all(octets)?;
    let mut answer = Vec::new();
    let _ = std::io::Read::read_to_end(&mut stream, &mut answer);
    Ok(answer)
}

async fn ssl(ctx: Ctx) -> Result<()> {
    drop(tcp(&ctx)?);
    measure(&ctx)?;
    // SSL 3.0: record and client version 3.0, suites TLS_RSA_WITH_AES_128_CBC_SHA and TLS_RSA_WITH_3DES_EDE_CBC_SHA.
    let mut client = vec![3, 0];
    client.extend([7; 32]);
    client.extend([0, 0, 4, 0x00, 0x2f, 0x00, 0x0a, 1, 0]);
    let length = u16::try_from(client.len())?.to_be_bytes();
    let mut handshake = vec![1, 0];
    handshake.extend(length);
    handshake.extend(&client);
    let mut record = vec![22, 3, 0];
    record.extend(u16::try_from(handshake.len())?.to_be_bytes());
    record.extend(&handshake);
    let answer = hello(&ctx, &record)?;
    ensure!(answer.first() != Some(&22), "SSL 3.0 is answered with a handshake");
    // SSL 2.0: CLIENT-HELLO of version 0.2 with SSL_CK_RC4_128_WITH_MD5.
    let mut old = vec![0x80, 28, 1, 0, 2, 0, 3, 0, 0, 0, 16, 1, 0, 0x80];
    old.extend([7; 16]);
    let answer = hello(&ctx, &old)?;
    ensure!(answer.get(2) != Some(&4), "SSL 2.0 is answered with a SERVER-HELLO");
    Ok(())
}

async fn weak_suites(ctx: Ctx) -> Result<()> {
    drop(tcp(&ctx)?);
    measure(&ctx)?;
    for suite in [
        "AES128-SHA",
        "AES256-SHA256",
        "AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-SHA",
        "NULL-SHA256",
        "AECDH-AES128-SHA",
    ] {
        let refused = handshake(&ctx, |b| {
            version(b, SslVersion::TLS1_2)?;
            Ok(b.set_cipher_list(&format!("{suite}:@SECLEVEL=0"))?)
        });
        if let Ok(stream) = refused {
            let taken = stream.ssl().current_cipher().map(|c| c.name().to_owned());
            ensure!(taken.as_deref() != Some(suite), "a client that knows nothing but {suite} is let in");
        }
    }
    Ok(())
}

async fn good_suites(ctx: Ctx) -> Result<()> {
    drop(tcp(&ctx)?);
    for suite in ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384"] {
        handshake(&ctx, |b| {
            version(b, SslVersion::TLS1_2)?;
            Ok(b.set_cipher_list(suite)?)
        })
        .with_context(|| suite.to_owned())?;
    }
    ctx.receipted(&ctx.forge("oneway")?).await.map(drop)
}

/// The endpoint can be reached at all.
pub async fn reachable(ctx: Ctx) -> Result<()> {
    drop(tcp(&ctx)?);
    measure(&ctx)
}
