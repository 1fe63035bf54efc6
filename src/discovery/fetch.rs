//! Fetching an SMP's answers, through the egress gate.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;

use super::smp::read::MAX_OCTETS;
use super::{Dns, Domain, Error, Trusts};
use crate::clock::Clock;
use crate::transport::{
    self, Client, ClientConfig, ClientTimeouts, ClientTls, Egress, Request, Resolve, Revoker, RevokerConfig,
};

/// What an SMP answered.
pub(super) enum Fetched {
    /// 200.
    Answer(Bytes),
    /// 404: it says that there is no such thing.
    Nothing,
}

/// The client for one domain's SMPs.
pub(super) fn client(domain: &Domain, trusts: &Trusts, dns: &Dns) -> Result<Client, Error> {
    let limit = Duration::from_secs(u64::from(domain.timeout_seconds.max(1)));
    let timeouts = ClientTimeouts { connect: limit, idle: limit, answer: limit, total: 2 * limit };
    let egress = Egress {
        allow: domain.egress_allow.clone(),
        ports: domain.ports.clone(),
        plain_http: domain.plain_http,
    };
    let tls = ClientTls { anchors: trusts.smp_tls.clone(), ..ClientTls::default() };
    let resolver = domain.resolver.map(|_| Arc::new(dns.clone()) as Arc<dyn Resolve>);
    Client::new(ClientConfig { tls, egress, timeouts, resolver, network: None })
        .map_err(|e| Error::Configuration(e.to_string()))
}

/// What asks after certificates for one domain.
pub(super) fn revoker(domain: &Domain, dns: &Dns, clock: Clock) -> Result<Revoker, Error> {
    let egress = Egress {
        allow: domain.egress_allow.clone(),
        ports: domain.ports.clone(),
        plain_http: domain.plain_http,
    };
    let resolver = domain.resolver.map(|_| Arc::new(dns.clone()) as Arc<dyn Resolve>);
    let (rule, folder) = (domain.revocation, domain.revocation_folder.clone());
    let config = RevokerConfig { name: domain.zone.clone(), rule, egress, resolver, folder };
    Revoker::new(config, clock).map_err(|e| Error::Configuration(e.to_string()))
}

/// GETs one address. 404 is an answer; anything else but 200 is an outage, and so is an HTTP redirect (discovery 2.5).
pub(super) async fn get(client: &Client, url: &str) -> Result<Fetched, Error> {
    match client.send(Request::get(url, MAX_OCTETS)).await {
        Ok(response) => match response.status {
            StatusCode::OK => Ok(Fetched::Answer(response.body)),
            StatusCode::NOT_FOUND => Ok(Fetched::Nothing),
            status => Err(outage(url, format!("HTTP {status}"))),
        },
        // The address came from the registry or from a redirect, and leads where nothing of ours may go.
        Err(
            error @ (transport::Error::Url { .. }
            | transport::Error::EgressAddress { .. }
            | transport::Error::EgressPort { .. }),
        ) => Err(Error::Registry { name: url.to_owned(), detail: error.to_string() }),
        Err(error) => Err(outage(url, error.to_string())),
    }
}

fn outage(url: &str, detail: String) -> Error {
    Error::SmpOutage { url: url.to_owned(), detail }
}
