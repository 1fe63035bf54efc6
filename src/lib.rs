//! tilts: a cross-border eDelivery AS4 access point.
//!
//! # The map
//!
//! Rooms, from the bottom up; `tests/architecture.rs` holds the arrows between them and fails on any other.
//!
//! | room | owns |
//! |---|---|
//! | [`xml`] | hardened parse, exclusive and inclusive C14N, writer |
//! | [`mime`] | multipart/related, streaming; gzip of a part |
//! | [`pki`] | key stores, trust, path validation |
//! | [`status`] | the delivery state machine, pure |
//! | [`xmlsec`] | XML-DSig and XML-Enc on elements and streams |
//! | [`soap`] | SOAP 1.2 envelope and faults |
//! | [`ebms`] | UserMessage, Receipt, Error, PullRequest; the EBMS code table |
//! | [`wssec`] | the Security header, by a `SecurityPolicy` value |
//! | [`sbdh`] | business envelopes |
//! | [`evidence`] | signed delivery evidence (REM) |
//! | [`pmode`] | agreements, matching, network profiles |
//! | [`transport`] | HTTPS server and client, TLS, limits, egress gate |
//! | [`discovery`] | SML (DNS), SMP, cache; yields an `Endpoint` |
//! | [`div`] | the DIV envelope of the national e-address system |
//! | [`store`] | messages, leases, duplicates, evidence, payloads |
//! | [`msh`] | receiving, sending, retry: the network halves |
//! | [`backend`] | submission, delivery, adapters: the business halves |
//! | [`inspect`] | takes captured messages apart |
//! | [`api`], [`console`] | operator REST and web pages |
//! | [`config`], [`app`], [`cli`] | files to `Config` values, composition root, subcommands |
//!
//! # The two pipelines, four halves
//!
//! ```text
//! OUTBOUND  backend::submission   adapter -> Submission -> validate -> route -> stage -> store QUEUED
//!           msh::sending          lease -> Planned -> Packaged -> Sealed -> Sent -> settle
//! INBOUND   msh::receiving        Request -> Unpacked -> Identified -> Secured -> Checked -> Accepted -> Reply
//!           backend::delivery     lease -> adapter -> at disposal -> accepted | refused | missed (evidence each time)
//! ```
//!
//! Read [`msh::receiving`], [`msh::sending`], [`backend::submission`] and [`backend::delivery`] in that order: each is
//! one short file that reads as a list. The halves meet in [`store`] only.

pub mod api;
pub mod app;
pub mod backend;
pub mod cli;
pub mod clock;
pub mod config;
pub mod console;
pub mod crash;
pub mod discovery;
pub mod div;
pub mod ebms;
pub mod evidence;
pub mod id;
pub mod inspect;
pub mod metrics;
pub mod mime;
pub mod msh;
pub mod pki;
pub mod pmode;
pub mod sbdh;
pub mod soap;
pub mod status;
pub mod store;
pub mod thread;
pub mod transport;
pub mod wssec;
pub mod xml;
pub mod xmlsec;
