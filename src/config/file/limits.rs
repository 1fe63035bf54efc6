//! `[limits]` and `[log]`.

use serde::Deserialize;

/// `[limits]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Octets of a SOAP envelope.
    pub envelope_octets: usize,
    /// Octets of a whole message on the wire.
    pub message_octets: u64,
    /// Octets of one payload after decompression.
    pub payload_octets: u64,
    /// Most times that a payload may grow when decompressed, beyond the first 64 MiB.
    pub inflate_ratio: u64,
    /// Payload parts of one message, and the envelope.
    pub parts: usize,
    /// MIME headers of one part.
    pub part_headers: usize,
    /// Octets of the MIME headers of one part.
    pub part_header_octets: usize,
    /// Elements within elements of an envelope.
    pub xml_depth: usize,
    /// Elements, texts, comments and processing instructions of an envelope together.
    pub xml_nodes: usize,
    /// Attributes and namespace declarations of one element.
    pub xml_attributes: usize,
    /// References of one signature: the header, the Body and each part need one.
    pub references: usize,
    /// Connections at once on a listener.
    pub connections: usize,
    /// HTTP headers of a request.
    pub headers: usize,
    /// Octets of a request's head.
    pub header_octets: usize,
    /// Seconds for a TLS handshake.
    pub handshake_seconds: u64,
    /// Seconds for a whole request head, and between two requests.
    pub header_seconds: u64,
    /// Seconds without an octet before a connection is closed.
    pub idle_seconds: u64,
    /// Seconds that one exchange with a partner may take besides the time that its octets need.
    pub exchange_seconds: u64,
    /// Seconds that exchanges and requests under way have to end after the stop was asked for.
    pub shutdown_seconds: u64,
    /// Messages sent at once.
    pub sending: usize,
    /// Refused messages per source address and minute that get a row in the rejected list.
    pub rejected_per_minute: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            envelope_octets: 1 << 20,
            message_octets: 16 << 30,
            payload_octets: 8 << 30,
            inflate_ratio: 200,
            parts: 256,
            part_headers: 64,
            part_header_octets: 16 << 10,
            xml_depth: 100,
            xml_nodes: 200_000,
            xml_attributes: 256,
            references: 64,
            connections: 2000,
            headers: 64,
            header_octets: 32 << 10,
            handshake_seconds: 10,
            header_seconds: 30,
            idle_seconds: 60,
            exchange_seconds: 120,
            shutdown_seconds: 20,
            sending: 32,
            rejected_per_minute: 60,
        }
    }
}

/// `[log]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug`, or a filter such as `tilts::msh=debug`.
    pub level: String,
    /// `text` or `json`.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".into(), format: LogFormat::Text }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}
