//! The way of one node to its database. It can be held up: what is said on it arrives when it is open again, as where a network was away and
//! comes back, and nobody was told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The way to one server. It ends when dropped.
pub struct Strait {
    /// Where it begins.
    pub address: SocketAddr,
    open: Arc<watch::Sender<bool>>,
    task: JoinHandle<()>,
}

impl Drop for Strait {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Strait {
    /// Leads to a server.
    pub async fn to(server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, (open, opened)) = (listener.local_addr()?, watch::channel(true));
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(both_ways(client, server, opened.clone()));
            }
        });
        Ok(Self { address, open: Arc::new(open), task })
    }

    /// Holds everything up for so long; ready when it is open again.
    pub fn hold(&self, length: Duration) -> impl Future<Output = ()> + Send + use<> {
        let open = Arc::clone(&self.open);
        open.send_replace(false);
        async move {
            tokio::time::sleep(length).await;
            open.send_replace(true);
        }
    }
}

/// Until one side ends it; of that the other hears in its turn.
async fn both_ways(client: TcpStream, server: SocketAddr, open: watch::Receiver<bool>) -> Result<()> {
    let server = TcpStream::connect(server).await?;
    server.set_nodelay(true)?;
    client.set_nodelay(true)?;
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    tokio::select! {
        done = pass(&mut from_client, &mut to_server, open.clone()) => done,
        done = pass(&mut from_server, &mut to_client, open) => done,
    }
}

async fn pass(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut open: watch::Receiver<bool>,
) -> Result<()> {
    let mut octets = vec![0; 1 << 16];
    loop {
        let count = from.read(&mut octets).await?;
        open.wait_for(|open| *open).await?;
        if count == 0 {
            return Ok(());
        }
        to.write_all(&octets[..count]).await?;
    }
}
