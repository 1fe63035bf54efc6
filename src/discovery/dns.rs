//! The stub resolver: one configured resolver, UDP with TCP when an answer is cut short, the AD bit asked for and seen.
//!
//! The messages are hickory's; the exchange is our own, because hickory's resolver can show the AD bit only together with
//! a second cryptographic library (docs/decisions).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::naptr::Naptr;
use crate::transport::{Resolve, Resolved};

/// For one try (discovery 1.4).
const TRY: Duration = Duration::from_secs(5);
const TRIES: usize = 3;
/// Aliases that are followed when the resolver did not.
const MAX_ALIASES: usize = 8;
/// The payload that survives every path without fragments (DNS flag day 2020).
const UDP_PAYLOAD: u16 = 1232;

/// Why there are no records.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DnsError {
    /// The name does not exist (NXDOMAIN).
    #[error("NXDOMAIN")]
    NoSuchName {
        /// Whether the resolver validated that it does not (AD).
        validated: bool,
    },
    /// The name exists without records of this type.
    #[error("no such records")]
    NoRecords {
        /// Whether the resolver validated that it has none (AD).
        validated: bool,
    },
    /// Nobody answered, or with an error: technical.
    #[error("{0}")]
    Outage(String),
}

/// Records found.
#[derive(Debug, Clone)]
pub struct Records<T> {
    /// The records, in the order of the answer.
    pub records: Vec<T>,
    /// Whether the resolver validated all of it (AD).
    pub validated: bool,
}

/// Asks the resolvers given, in turn.
#[derive(Debug, Clone)]
pub struct Dns {
    servers: Arc<[SocketAddr]>,
}

impl Dns {
    /// Asks this resolver, or those of /etc/resolv.conf.
    pub fn new(resolver: Option<SocketAddr>) -> Self {
        let servers = match resolver {
            Some(server) => vec![server],
            None => system_resolvers(),
        };
        Self { servers: servers.into() }
    }

    /// Who is asked, for people.
    pub fn describe(&self) -> String {
        self.servers.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(", ")
    }

    /// The NAPTR records of a name, aliases followed.
    pub async fn naptr(&self, name: &str) -> Result<Records<Naptr>, DnsError> {
        self.lookup(name, RecordType::NAPTR, |data| match data {
            RData::NAPTR(naptr) => {
                let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
                Some(Naptr {
                    order: naptr.order,
                    preference: naptr.preference,
                    flags: text(&naptr.flags),
                    service: text(&naptr.services),
                    regexp: text(&naptr.regexp),
                })
            }
            _ => None,
        })
        .await
    }

    /// The IPv6 and IPv4 addresses of a name.
    pub async fn addresses(&self, name: &str) -> Result<Records<IpAddr>, DnsError> {
        let address = |data: &RData| match data {
            RData::A(a) => Some(IpAddr::V4(Ipv4Addr::from(a.octets()))),
            RData::AAAA(aaaa) => Some(IpAddr::V6(Ipv6Addr::from(aaaa.octets()))),
            _ => None,
        };
        let (v6, v4) = tokio::join!(
            self.lookup(name, RecordType::AAAA, address),
            self.lookup(name, RecordType::A, address)
        );
        match (v6, v4) {
            (Ok(mut v6), Ok(v4)) => {
                v6.records.extend(v4.records);
                Ok(Records { records: v6.records, validated: v6.validated && v4.validated })
            }
            (Ok(one), Err(_)) | (Err(_), Ok(one)) => Ok(one),
            (Err(DnsError::Outage(detail)), _) | (_, Err(DnsError::Outage(detail))) => {
                Err(DnsError::Outage(detail))
            }
            (_, Err(v4)) => Err(v4),
        }
    }

    async fn lookup<T>(
        &self,
        name: &str,
        kind: RecordType,
        pick: impl Fn(&RData) -> Option<T>,
    ) -> Result<Records<T>, DnsError> {
        let mut name =
            Name::from_ascii(name).map_err(|error| DnsError::Outage(format!("{name}: {error}")))?;
        name.set_fqdn(true);
        let mut validated = true;
        for _ in 0..MAX_ALIASES {
            let answer = self.ask(&name, kind).await?;
            validated &= answer.metadata.authentic_data;
            let (end, records) = follow(&answer, &name, kind, &pick)?;
            if !records.is_empty() {
                return Ok(Records { records, validated });
            }
            match answer.metadata.response_code {
                ResponseCode::NXDomain => return Err(DnsError::NoSuchName { validated }),
                _ if end == name => return Err(DnsError::NoRecords { validated }),
                _ => name = end,
            }
        }
        Err(too_many_aliases())
    }

    /// One question to each resolver in turn, until one gives an answer that means something.
    async fn ask(&self, name: &Name, kind: RecordType) -> Result<Message, DnsError> {
        let mut last = "no resolver is configured".to_owned();
        for attempt in 0..TRIES * self.servers.len() {
            let server = self.servers[attempt % self.servers.len()];
            match tokio::time::timeout(TRY, exchange(server, name, kind)).await {
                Err(_) => last = format!("{server} does not answer"),
                Ok(Err(error)) => last = format!("{server}: {error}"),
                Ok(Ok(answer)) => match answer.metadata.response_code {
                    ResponseCode::NoError | ResponseCode::NXDomain => return Ok(answer),
                    code => last = format!("{server}: {code}"),
                },
            }
        }
        Err(DnsError::Outage(last))
    }
}

impl Resolve for Dns {
    fn resolve(&self, host: &str) -> Resolved {
        let (this, host) = (self.clone(), host.to_owned());
        Box::pin(async move {
            this.addresses(&host)
                .await
                .map(|found| found.records)
                .map_err(|error| io::Error::other(error.to_string()))
        })
    }
}

/// Follows the aliases within one answer: the name at the end of the chain, and the records there. Aliases that go round
/// are a fault of the registry, and no word about the participant.
fn follow<T>(
    answer: &Message,
    name: &Name,
    kind: RecordType,
    pick: impl Fn(&RData) -> Option<T>,
) -> Result<(Name, Vec<T>), DnsError> {
    let mut end = name.clone();
    for hop in 0.. {
        let alias = answer.answers.iter().find_map(|record| match &record.data {
            RData::CNAME(target) if record.name.to_lowercase() == end.to_lowercase() => {
                Some(target.0.clone())
            }
            _ => None,
        });
        let Some(target) = alias else { break };
        if hop == MAX_ALIASES {
            return Err(too_many_aliases());
        }
        end = target;
    }
    let here = answer
        .answers
        .iter()
        .filter(|r| r.record_type() == kind && r.name.to_lowercase() == end.to_lowercase());
    let records = here.filter_map(|record| pick(&record.data)).collect();
    Ok((end, records))
}

fn too_many_aliases() -> DnsError {
    DnsError::Outage(format!("more than {MAX_ALIASES} aliases"))
}

async fn exchange(server: SocketAddr, name: &Name, kind: RecordType) -> io::Result<Message> {
    let question = question(name, kind);
    let octets = question.to_vec().map_err(io::Error::other)?;
    let answer = over_udp(server, &octets, &question).await?;
    match answer.metadata.truncation {
        true => over_tcp(server, &octets, &question).await,
        false => Ok(answer),
    }
}

/// Recursion desired; the AD bit in a question asks for it in the answer (RFC 6840 5.7).
fn question(name: &Name, kind: RecordType) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.metadata.authentic_data = true;
    message.add_query(Query::query(name.clone(), kind));
    let mut edns = Edns::new();
    edns.set_max_payload(UDP_PAYLOAD);
    message.edns = Some(edns);
    message
}

async fn over_udp(server: SocketAddr, octets: &[u8], question: &Message) -> io::Result<Message> {
    let any =
        if server.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    // A fresh socket has a fresh random port, which together with the id is what a forger must guess.
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
    socket.connect(server).await?;
    socket.send(octets).await?;
    let mut buffer = vec![0; 4096];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if let Some(answer) = answer_to(question, &buffer[..length]) {
            return Ok(answer);
        }
    }
}

async fn over_tcp(server: SocketAddr, octets: &[u8], question: &Message) -> io::Result<Message> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(octets.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), octets].concat()).await?;
    let length = stream.read_u16().await?;
    let mut buffer = vec![0; usize::from(length)];
    stream.read_exact(&mut buffer).await?;
    answer_to(question, &buffer)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "an answer to another question"))
}

/// The message, when it answers this very question.
fn answer_to(question: &Message, octets: &[u8]) -> Option<Message> {
    let answer = Message::from_vec(octets).ok()?;
    let same = |a: &Query, b: &Query| {
        a.query_type() == b.query_type() && a.name().to_lowercase() == b.name().to_lowercase()
    };
    let fits = answer.metadata.id == question.metadata.id
        && answer.metadata.message_type == hickory_proto::op::MessageType::Response
        && matches!((answer.queries.as_slice(), question.queries.as_slice()), ([a], [b]) if same(a, b));
    fits.then_some(answer)
}

fn system_resolvers() -> Vec<SocketAddr> {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let servers = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"))
        .filter_map(|rest| rest.trim().parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, 53)));
    servers.take(3).collect()
}
