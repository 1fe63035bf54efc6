//! TLS 1.2 and 1.3 with the suites of the eDelivery profile (as4-wire 5), for listeners and for clients.

use std::net::IpAddr;

use openssl::pkey::{PKey, Private};
use openssl::ssl::{
    AlpnError, Ssl, SslAcceptor, SslContext, SslContextBuilder, SslMethod, SslMode, SslOptions, SslRef,
    SslVerifyMode, SslVersion, select_next_proto,
};
use openssl::x509::verify::X509CheckFlags;

use super::Error;
use crate::pki::{Certificate, TrustStore};

const SUITES_1_3: &str =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_AES_128_CCM_SHA256:TLS_CHACHA20_POLY1305_SHA256";
const SUITES_1_2: &str = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:\
    ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-CCM:ECDHE-ECDSA-AES256-CCM";
const GROUPS: &str = "X25519:P-256:X448:P-384:P-521";
const ALPN: &[u8] = b"\x08http/1.1";

/// A key with its certificate and the certificates above it, as sent in a handshake.
#[derive(Clone)]
pub struct Identity {
    /// The leaf.
    pub certificate: Certificate,
    /// What stands between the leaf and the root, nearest first.
    pub chain: Vec<Certificate>,
    /// The leaf's private key.
    pub key: PKey<Private>,
}

/// TLS of a listener.
#[derive(Clone)]
pub struct ServerTls {
    /// Our certificate and key.
    pub identity: Identity,
    /// Whether clients must show a certificate.
    pub client_auth: ClientAuth,
}

/// Client certificates at a listener.
#[derive(Clone, Default)]
pub enum ClientAuth {
    /// None is asked for.
    #[default]
    None,
    /// Asked for; one that is shown must lead to these anchors.
    Optional(TrustStore),
    /// No handshake without a certificate that leads to these anchors.
    Required(TrustStore),
}

/// TLS of a client: one value for each partner or domain, built once.
#[derive(Clone, Default)]
pub struct ClientTls {
    /// Anchors for the server's certificate (a leaf is pinned); the system's roots when absent.
    pub anchors: Option<TrustStore>,
    /// Our certificate, for servers that ask.
    pub identity: Option<Identity>,
    /// What is checked of the server.
    pub check: ServerCheck,
}

/// What is checked of a server's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServerCheck {
    /// Path and host name.
    #[default]
    Full,
    /// Path only: for pinned certificates that carry no host name.
    PathOnly,
    /// Nothing. The peer then counts as not authenticated.
    Nothing,
}

/// What TLS says of the peer of a connection.
#[derive(Debug, Clone, Default)]
pub struct PeerTls {
    /// The certificate that the peer showed.
    pub certificate: Option<Certificate>,
    /// Whether TLS proved who the peer is: a certificate was shown and checked.
    pub authenticated: bool,
}

impl PeerTls {
    /// SHA-256 of the certificate shown, lower-case hex.
    pub fn fingerprint(&self) -> Option<String> {
        self.certificate.as_ref().map(Certificate::sha256_hex)
    }

    pub(super) fn of(ssl: &SslRef, checked: bool) -> Self {
        let certificate = ssl.peer_certificate().and_then(|x509| Certificate::from_x509(x509).ok());
        let verified = ssl.verify_result() == openssl::x509::X509VerifyResult::OK;
        Self { authenticated: checked && verified && certificate.is_some(), certificate }
    }
}

impl ServerTls {
    /// Builds the acceptor; once for each listener.
    pub(super) fn acceptor(&self) -> Result<SslAcceptor, Error> {
        self.build().map_err(|e| Error::TlsConfiguration(e.to_string()))
    }

    fn build(&self) -> Result<SslAcceptor, crate::pki::Error> {
        let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
        common(&mut builder)?;
        show(&mut builder, &self.identity)?;
        builder.set_options(SslOptions::CIPHER_SERVER_PREFERENCE | SslOptions::NO_RENEGOTIATION);
        builder
            .set_alpn_select_callback(|_, offered| select_next_proto(ALPN, offered).ok_or(AlpnError::NOACK));
        let (mode, anchors) = match &self.client_auth {
            ClientAuth::None => return Ok(builder.build()),
            ClientAuth::Optional(anchors) => (SslVerifyMode::PEER, anchors),
            ClientAuth::Required(anchors) => {
                (SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT, anchors)
            }
        };
        builder.set_verify(mode);
        builder.set_verify_cert_store(anchors.to_x509_store()?)?;
        for anchor in anchors.anchors() {
            builder.add_client_ca(anchor.x509())?;
        }
        builder.set_session_id_context(b"tilts")?;
        Ok(builder.build())
    }
}

impl ClientTls {
    /// Builds what makes connections; once for each client, for building it costs more than a handshake.
    pub(super) fn connector(&self) -> Result<Connector, Error> {
        let context = self.build().map_err(|e| Error::TlsConfiguration(e.to_string()))?;
        Ok(Connector { context, check_host: self.check == ServerCheck::Full })
    }

    fn build(&self) -> Result<SslContext, crate::pki::Error> {
        let mut builder = SslContextBuilder::new(SslMethod::tls_client())?;
        builder.set_options(SslOptions::ALL | SslOptions::NO_COMPRESSION | SslOptions::NO_RENEGOTIATION);
        builder.set_mode(
            SslMode::AUTO_RETRY
                | SslMode::ACCEPT_MOVING_WRITE_BUFFER
                | SslMode::ENABLE_PARTIAL_WRITE
                | SslMode::RELEASE_BUFFERS,
        );
        builder.set_verify(SslVerifyMode::PEER);
        common(&mut builder)?;
        builder.set_alpn_protos(ALPN)?;
        if let Some(identity) = &self.identity {
            show(&mut builder, identity)?;
        }
        match &self.anchors {
            Some(anchors) => builder.set_verify_cert_store(anchors.to_x509_store()?)?,
            // The system's, of which there are more than a hundred: nobody waits for them who has anchors of his own.
            None => builder.set_default_verify_paths()?,
        }
        if self.check == ServerCheck::Nothing {
            builder.set_verify(SslVerifyMode::NONE);
        }
        Ok(builder.build())
    }
}

/// Makes the TLS side of connections to servers.
pub(super) struct Connector {
    context: SslContext,
    check_host: bool,
}

impl Connector {
    /// For one connection to `host`, a name or an address: it is named to the server (SNI), and the server's certificate must be
    /// for it where that is checked (RFC 9525).
    pub(super) fn to(&self, host: &str) -> Result<Ssl, openssl::error::ErrorStack> {
        let mut ssl = Ssl::new(&self.context)?;
        let address: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
        if address.is_none() {
            ssl.set_hostname(host)?;
        }
        if self.check_host {
            let param = ssl.param_mut();
            param.set_hostflags(X509CheckFlags::NO_PARTIAL_WILDCARDS);
            match address {
                Some(address) => param.set_ip(address)?,
                None => param.set_host(host)?,
            }
        }
        Ok(ssl)
    }
}

fn common(builder: &mut SslContextBuilder) -> Result<(), openssl::error::ErrorStack> {
    // A record is fetched with its head: half as many calls, and the buffer is no larger.
    builder.set_read_ahead(true);
    builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    builder.set_max_proto_version(Some(SslVersion::TLS1_3))?;
    builder.set_ciphersuites(SUITES_1_3)?;
    builder.set_cipher_list(SUITES_1_2)?;
    builder.set_groups_list(GROUPS)
}

fn show(builder: &mut SslContextBuilder, identity: &Identity) -> Result<(), openssl::error::ErrorStack> {
    builder.set_certificate(identity.certificate.x509())?;
    builder.set_private_key(&identity.key)?;
    builder.check_private_key()?;
    for certificate in &identity.chain {
        builder.add_extra_chain_cert(certificate.to_x509())?;
    }
    Ok(())
}
