//! One exchange, carried as its fault will have it.

use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::proxy::{Begun, again, head};
use super::schedule::Fault;

/// How long a stall lasts that neither side ends.
const STALL: Duration = Duration::from_secs(60);

/// Carries one exchange.
pub(super) async fn carry(mut client: TcpStream, mut server: TcpStream, fault: Option<Fault>) -> Result<()> {
    match fault {
        Some(Fault::Reset) => reset(&client),
        Some(Fault::Delay { ms }) => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            through(client, server).await
        }
        Some(Fault::CutRequest { share }) => part(&mut client, &mut server, share).await.map(drop),
        Some(Fault::Truncate { share }) => {
            part(&mut client, &mut server, share).await?;
            server.shutdown().await?;
            copy(&mut server, &mut client).await?;
            Ok(())
        }
        Some(Fault::Stall { share }) => {
            part(&mut client, &mut server, share).await?;
            stall(client, server).await;
            Ok(())
        }
        Some(Fault::Leave { ms }) => {
            let request = head(&mut client).await?.whole(&mut client).await?;
            server.write_all(&request).await?;
            tokio::time::sleep(Duration::from_millis(ms)).await;
            Ok(())
        }
        Some(Fault::CutAnswer { octets }) => {
            let request = head(&mut client).await?.whole(&mut client).await?;
            server.write_all(&request).await?;
            copy(&mut server.take(octets), &mut client).await?;
            Ok(())
        }
        Some(Fault::Lose) => {
            let request = head(&mut client).await?.whole(&mut client).await?;
            server.write_all(&request).await?;
            server.read_to_end(&mut Vec::new()).await?;
            Ok(())
        }
        Some(Fault::Repeat) => repeat(client, server).await,
        Some(Fault::Twin) => twin(client, server).await,
        None => through(client, server).await,
    }
}

/// Whatever the system still holds is thrown away, and the other side reads a reset.
fn reset(client: &TcpStream) -> Result<()> {
    client.set_zero_linger()?;
    Ok(())
}

/// Passes on the first thousandths of a request.
async fn part(client: &mut TcpStream, server: &mut TcpStream, share: u64) -> Result<()> {
    let Begun { octets, length } = head(client).await?;
    let limit = (length * share / 1000).max(1);
    let first = octets.len().min(usize::try_from(limit)?);
    server.write_all(&octets[..first]).await?;
    copy(&mut client.take(limit - first as u64), server).await?;
    Ok(())
}

/// Everything passes, both ways, until the answer ends or the sender goes.
async fn through(mut client: TcpStream, server: TcpStream) -> Result<()> {
    let begun = head(&mut client).await?;
    let ((from_client, to_client), (from_server, mut to_server)) = (client.into_split(), server.into_split());
    to_server.write_all(&begun.octets).await?;
    let up = tokio::spawn(upward(from_client, to_server));
    let answered = downward(from_server, to_client).await;
    up.abort();
    answered
}

/// A sender that hangs up is heard at the other side.
async fn upward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> Result<()> {
    copy(&mut from, &mut to).await?;
    to.shutdown().await?;
    Ok(())
}

async fn downward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> Result<()> {
    copy(&mut from, &mut to).await?;
    to.shutdown().await?;
    Ok(())
}

async fn stall(mut client: TcpStream, mut server: TcpStream) {
    tokio::select! {
        () = hung_up(&mut client) => {}
        () = hung_up(&mut server) => {}
        () = tokio::time::sleep(STALL) => {}
    }
}

/// Ready when the other end is gone. What it says until then goes nowhere.
async fn hung_up(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    let mut octets = [0; 1 << 10];
    while stream.read(&mut octets).await.is_ok_and(|count| count > 0) {}
}

async fn repeat(mut client: TcpStream, mut server: TcpStream) -> Result<()> {
    let to = server.peer_addr()?;
    let request = head(&mut client).await?.whole(&mut client).await?;
    server.write_all(&request).await?;
    copy(&mut server, &mut client).await?;
    client.shutdown().await?;
    again(to, &request).await.map(drop)
}

async fn twin(mut client: TcpStream, mut server: TcpStream) -> Result<()> {
    let to = server.peer_addr()?;
    let request = head(&mut client).await?.whole(&mut client).await?;
    let first = async {
        server.write_all(&request).await?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer).await?;
        anyhow::Ok(answer)
    };
    let (answer, _) = tokio::join!(first, again(to, &request));
    client.write_all(&answer?).await?;
    Ok(client.shutdown().await?)
}
