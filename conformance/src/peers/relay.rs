//! A man in the middle that loses answers: requests reach the other side, what it says of the first ones does not come back.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_openssl::SslStream;

/// Plain HTTP in front, TLS behind. It stops when dropped.
pub struct Relay {
    /// Where it listens.
    pub address: SocketAddr,
    count: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Relay {
    /// Passes connections on to `to`; of the first `lost` ones the answer is read and thrown away.
    pub async fn start(to: SocketAddr, lost: usize) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let count = Arc::new(AtomicUsize::new(0));
        let counted = count.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let lose = counted.fetch_add(1, Ordering::Relaxed) < lost;
                tokio::spawn(async move { pass(client, to, lose).await });
            }
        });
        Ok(Self { address, count, task })
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

async fn pass(mut client: TcpStream, to: SocketAddr, lose: bool) -> Result<()> {
    let mut server = connect(to).await?;
    if !lose {
        copy_bidirectional(&mut client, &mut server).await?;
        return Ok(());
    }
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let mut octet = [0; 1];
    tokio::select! {
        // The first octet of the answer proves that the request was read to its end and judged.
        _ = from_server.read(&mut octet) => {}
        _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
    }
    to_client.shutdown().await?;
    Ok(())
}

async fn connect(to: SocketAddr) -> Result<SslStream<TcpStream>> {
    let mut connector = SslConnector::builder(SslMethod::tls_client())?;
    connector.set_verify(SslVerifyMode::NONE);
    let ssl = connector.build().configure()?.verify_hostname(false).into_ssl("127.0.0.1")?;
    let mut stream = SslStream::new(ssl, TcpStream::connect(to).await?)?;
    Pin::new(&mut stream).connect().await?;
    Ok(stream)
}
