//! What is done with every octet: hash, cipher, TLS, compression.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::rc::Rc;

use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use openssl::ssl::{Error, ErrorCode, Ssl, SslContext, SslMethod, SslStream};
use openssl::symm::{Cipher, Crypter, Mode, decrypt_aead, encrypt_aead};

use super::cost;
use crate::bench::Content;
use crate::ca::{Authority, Purpose};

/// Octets that are hashed or ciphered in one call.
const MEGABYTE: usize = 1 << 20;
/// Octets of a TLS record.
const RECORD: usize = 16 << 10;
/// The level of gzip at which tilts compresses.
const LEVEL: u32 = 1;
/// Octets of text that are compressed in one call, which is more than gzip looks back.
const TEXT: u64 = 2 << 20;

/// SHA-256, in seconds an octet.
pub(super) fn hash() -> Result<f64> {
    let octets = vec![7_u8; MEGABYTE];
    let call = cost(|| {
        black_box(openssl::sha::sha256(&octets));
        Ok(())
    })?;
    Ok(call / MEGABYTE as f64)
}

/// AES-128-GCM, in seconds an octet, with memory that is there already.
pub(super) fn cipher() -> Result<f64> {
    let (key, iv) = ([1; 16], [2; 12]);
    let octets = vec![7_u8; MEGABYTE];
    let mut tag = [0; 16];
    let sealed = encrypt_aead(Cipher::aes_128_gcm(), &key, Some(&iv), &[], &octets, &mut tag)?;
    ensure!(decrypt_aead(Cipher::aes_128_gcm(), &key, Some(&iv), &[], &sealed, &tag)? == octets);
    let mut out = vec![0; MEGABYTE + 16];
    let call = cost(|| {
        let mut crypter = Crypter::new(Cipher::aes_128_gcm(), Mode::Decrypt, &key, Some(&iv))?;
        crypter.set_tag(&tag)?;
        let count = crypter.update(&sealed, &mut out)?;
        crypter.finalize(&mut out[count..])?;
        Ok(())
    })?;
    Ok(call / MEGABYTE as f64)
}

/// TLS as between two nodes, both ends in this thread and memory between them, in seconds an octet.
pub(super) fn tls() -> Result<f64> {
    let (mut client, mut server) = connected()?;
    let octets = vec![7_u8; RECORD];
    let mut out = vec![0; RECORD];
    let call = cost(|| {
        client.write_all(&octets)?;
        server.read_exact(&mut out)?;
        Ok(())
    })?;
    ensure!(out == octets, "TLS gives other octets than it was given");
    Ok(call / RECORD as f64)
}

/// Two ends of a connection after the handshake, on which both have agreed on what tilts prefers.
fn connected() -> Result<(SslStream<Pipe>, SslStream<Pipe>)> {
    let identity = Authority::new("bound")?.issue("bound", 2048, Purpose::Tls)?;
    let ssl = |method: SslMethod| -> Result<Ssl> {
        let mut context = SslContext::builder(method)?;
        context.set_ciphersuites("TLS_AES_128_GCM_SHA256")?;
        context.set_certificate(&identity.certificate)?;
        context.set_private_key(&identity.key)?;
        Ok(Ssl::new(&context.build())?)
    };
    let (there, back): (Rc<_>, Rc<_>) = Default::default();
    let near = Pipe { to: Rc::clone(&there), from: Rc::clone(&back) };
    let mut client = SslStream::new(ssl(SslMethod::tls_client())?, near)?;
    let mut server = SslStream::new(ssl(SslMethod::tls_server())?, Pipe { to: back, from: there })?;
    let mut done = (false, false);
    for _ in 0..4 {
        done = (ready(client.connect())?, ready(server.accept())?);
    }
    ensure!(done == (true, true), "the TLS handshake does not end");
    let suite = client.ssl().current_cipher().context("no cipher")?.name();
    ensure!(suite == "TLS_AES_128_GCM_SHA256", "TLS agrees on {suite}");
    Ok((client, server))
}

/// Whether a handshake is done; else it waits for the other end.
fn ready(step: Result<(), Error>) -> Result<bool> {
    match step {
        Ok(()) => Ok(true),
        Err(error) if error.code() == ErrorCode::WANT_READ => Ok(false),
        Err(error) => Err(error.into()),
    }
}

type Way = Rc<RefCell<VecDeque<u8>>>;

/// One end of a connection within this thread.
struct Pipe {
    to: Way,
    from: Way,
}

impl Read for Pipe {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self.from.borrow_mut().read(out)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.to.borrow_mut().write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What compression costs and gives.
pub(super) struct Gzip {
    /// Seconds an octet.
    pub gzip: f64,
    /// Seconds an octet of what comes out.
    pub gunzip: f64,
    /// Octets after compression, for one before.
    pub shrunk: f64,
}

/// gzip and back, of the text that the benchmark sends.
pub(super) fn gzip() -> Result<Gzip> {
    let text: Vec<u8> = Content::Text.chunks(0, TEXT).flatten().collect();
    let mut packed = Vec::with_capacity(text.len());
    let gzip = cost(|| {
        packed.clear();
        let mut encoder = GzEncoder::new(&mut packed, Compression::new(LEVEL));
        encoder.write_all(&text)?;
        encoder.finish().map(drop).map_err(Into::into)
    })?;
    let mut chunk = vec![0; 64 << 10];
    let gunzip = cost(|| {
        let mut decoder = GzDecoder::new(&packed[..]);
        let mut count = 0;
        loop {
            match decoder.read(&mut chunk)? {
                0 => break,
                more => count += more,
            }
        }
        ensure!(count == text.len(), "gzip gives {count} octets back");
        Ok(())
    })?;
    let octets = text.len() as f64;
    Ok(Gzip { gzip: gzip / octets, gunzip: gunzip / octets, shrunk: packed.len() as f64 / octets })
}
