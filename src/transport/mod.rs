//! HTTPS server and client, TLS, limits, egress gate.
