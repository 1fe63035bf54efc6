//! An SML stand-in: a real DNS server that answers from a zone file, over UDP and TCP.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use hickory_proto::rr::Name;
use hickory_proto::serialize::txt::Parser;
use hickory_server::Server;
use hickory_server::net::runtime::TokioRuntimeProvider;
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, ZoneHandler, ZoneType};
use tokio::net::{TcpListener, UdpSocket};

/// A running DNS server; it stops when dropped.
pub struct Sml {
    server: Server<Catalog>,
    address: SocketAddr,
}

impl Sml {
    /// Serves a zone file's text on `address` (port 0 takes a free one).
    pub async fn start(address: SocketAddr, origin: &str, zone: String) -> Result<Self> {
        let origin: Name = Name::from_ascii(origin).context("the zone's name")?;
        let (origin, records) = Parser::new(zone, None::<PathBuf>, Some(origin))
            .parse()
            .map_err(|e| anyhow!("the zone file: {e}"))?;
        let handler = InMemoryZoneHandler::<TokioRuntimeProvider>::new(
            origin.clone(),
            records,
            ZoneType::Primary,
            AxfrPolicy::Deny,
        );
        let handler = handler.map_err(|e| anyhow!("the zone: {e}"))?;
        let mut catalog = Catalog::new();
        catalog.upsert(origin.into(), vec![Arc::new(handler) as Arc<dyn ZoneHandler>]);
        let udp = UdpSocket::bind(address).await.with_context(|| format!("cannot bind {address}"))?;
        let address = udp.local_addr()?;
        let tcp = TcpListener::bind(address).await.with_context(|| format!("cannot bind {address}"))?;
        let mut server = Server::new(catalog);
        server.register_socket(udp);
        server.register_listener(tcp, Duration::from_secs(10), 16);
        Ok(Self { server, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Runs until it fails.
    pub async fn run(mut self) -> Result<()> {
        self.server.block_until_done().await.map_err(|e| anyhow!("the DNS server: {e}"))
    }
}

/// A zone file with one U-NAPTR record per (name, SMP address); names are absolute without the final dot.
pub fn zone_file(origin: &str, entries: &[(String, String)]) -> String {
    let mut text = format!(
        "$ORIGIN {origin}.\n$TTL 30\n@ IN SOA ns.{origin}. hostmaster.{origin}. 1 3600 600 86400 5\n@ IN NS ns.{origin}.\n"
    );
    for (name, url) in entries {
        text.push_str(&format!("{name}. 30 IN NAPTR 100 10 \"U\" \"Meta:SMP\" \"!.*!{url}!\" .\n"));
    }
    text
}
