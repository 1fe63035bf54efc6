//! The egress gate: which addresses and ports a client may speak to (discovery 2.5, design: SSRF).
//!
//! URLs come from SMPs and partners. Only public addresses are spoken to unless the operator lists a network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use hyper::Uri;

use super::Error;

/// A network in CIDR notation, such as `10.1.0.0/16` or `2001:db8::/32`; a bare address is that host alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Cidr {
    network: IpAddr,
    prefix: u8,
}

/// What a client may speak to. The default is strict: public addresses, https, port 443.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Egress {
    /// Networks permitted although they are not public.
    pub allow: Vec<Cidr>,
    /// Ports permitted; empty means any.
    pub ports: Vec<u16>,
    /// Whether `http:` URLs are permitted.
    pub plain_http: bool,
}

impl Default for Egress {
    fn default() -> Self {
        Self { allow: Vec::new(), ports: vec![443], plain_http: false }
    }
}

/// An absolute address with a host, without user information, https unless plain HTTP is permitted.
pub(super) fn absolute(url: &str, plain_http: bool) -> Result<Uri, Error> {
    let wrong = |problem| Error::Url { url: url.to_owned(), problem };
    let uri: Uri = url.parse().map_err(|_| wrong("not a URL"))?;
    match uri.scheme_str() {
        Some("https") => {}
        Some("http") if plain_http => {}
        Some("http") => return Err(wrong("plain HTTP is not permitted without allow_http = true")),
        _ => return Err(wrong("not http:// or https://")),
    }
    let authority = uri.authority().map(|a| a.as_str()).unwrap_or_default();
    match (authority.contains('@'), uri.host().unwrap_or_default().is_empty()) {
        (true, _) => Err(wrong("user information in it")),
        (_, true) => Err(wrong("no host in it")),
        _ => Ok(uri),
    }
}

impl Egress {
    /// No gate: for one server that our own configuration names, wherever it is.
    pub fn open(plain_http: bool) -> Self {
        let everything = |unspecified: IpAddr| Cidr { network: unspecified, prefix: 0 };
        let allow = vec![everything(Ipv4Addr::UNSPECIFIED.into()), everything(Ipv6Addr::UNSPECIFIED.into())];
        Self { allow, ports: Vec::new(), plain_http }
    }

    /// Whether this address may be spoken to.
    pub fn permits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        is_public(address) || self.allow.iter().any(|network| network.contains(address))
    }

    /// Whether an address of the configuration could ever be asked; what its name resolves to is seen when it is.
    ///
    /// # Errors
    /// [`Error::Url`], [`Error::EgressPort`], [`Error::EgressAddress`].
    pub fn check(&self, url: &str) -> Result<(), Error> {
        let uri = absolute(url, self.plain_http)?;
        let host = uri.host().unwrap_or_default().to_owned();
        let usual = if uri.scheme_str() == Some("http") { 80 } else { 443 };
        let port = uri.port_u16().unwrap_or(usual);
        if !self.permits_port(port) {
            return Err(Error::EgressPort { host, port });
        }
        match host.trim_matches(['[', ']']).parse() {
            Ok(address) if !self.permits(address) => Err(Error::EgressAddress { host, address }),
            _ => Ok(()),
        }
    }

    /// Whether this port may be spoken to.
    pub fn permits_port(&self, port: u16) -> bool {
        self.ports.is_empty() || self.ports.contains(&port)
    }
}

impl Cidr {
    /// Whether the address lies in the network; an IPv4 address mapped into IPv6 counts as the IPv4 one.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.network, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                (network.to_bits() ^ address.to_bits()) & mask == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                (network.to_bits() ^ address.to_bits()) & mask == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no network in CIDR notation, such as 10.1.0.0/16");
        let (network, prefix) = match text.split_once('/') {
            Some((network, prefix)) => (network, Some(prefix.parse::<u8>().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let network: IpAddr = network.parse().map_err(|_| wrong())?;
        let most = if network.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(most);
        if prefix > most {
            return Err(wrong());
        }
        Ok(Self { network, prefix })
    }
}

impl TryFrom<String> for Cidr {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

/// Globally reachable unicast (IANA special-purpose registries); what tunnels IPv4 is judged by the inner address.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b));
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let embedded =
        |high: u16, low: u16| is_public_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match segments {
        // NAT64 (64:ff9b::/96) and 6to4 (2002::/16) lead to an IPv4 address.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x2002, high, low, ..] => embedded(high, low),
        // Teredo, ORCHID, benchmarking, documentation.
        [0x2001, second, ..] if second < 0x0200 || second == 0x0db8 => false,
        [0x3fff, second, ..] if second < 0x1000 => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_public_addresses_pass_by_default() {
        let gate = Egress::default();
        for public in ["8.8.8.8", "193.41.195.1", "2a00:1450::1", "64:ff9b::8.8.8.8", "::ffff:8.8.8.8"] {
            assert!(gate.permits(ip(public)), "{public}");
        }
        for inner in [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.2.1",
            "198.18.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "64:ff9b::127.0.0.1",
            "2002:7f00:1::",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
        ] {
            assert!(!gate.permits(ip(inner)), "{inner}");
        }
    }

    #[test]
    fn a_listed_network_passes() {
        let gate = Egress {
            allow: vec!["127.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
            ..Egress::default()
        };
        assert!(
            gate.permits(ip("127.9.9.9"))
                && gate.permits(ip("::ffff:127.0.0.1"))
                && gate.permits(ip("fd00::7"))
        );
        assert!(!gate.permits(ip("10.0.0.1")) && !gate.permits(ip("::1")));
        assert!("0.0.0.0/0".parse::<Cidr>().unwrap().contains(ip("10.0.0.1")));
        assert!("10.0.0.1".parse::<Cidr>().unwrap().contains(ip("10.0.0.1")));
        for wrong in ["", "10.0.0.0/33", "x/8", "10.0.0.0/", "::/129"] {
            assert!(wrong.parse::<Cidr>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_default_port_is_443_alone() {
        assert!(Egress::default().permits_port(443) && !Egress::default().permits_port(8443));
        assert!(Egress { ports: vec![], ..Egress::default() }.permits_port(1));
    }
}
