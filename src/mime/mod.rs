//! multipart/related, streaming, and gzip of a part.
//!
//! [`PushParser`] takes a body in chunks of any size and never holds more than one header block or one boundary line of
//! it. [`writer::Layout`] knows every octet around the parts, and so the exact Content-Length, before a payload is read.
//! [`GzipWriter`] and [`Inflate`] are the AS4 compression of one part (as4-wire 1.5).

mod cid;
mod content_type;
mod error;
mod gzip;
mod headers;
mod parser;
mod transfer;
pub mod writer;

pub use cid::{cid_of_href, first_duplicate, href_of_cid, without_brackets};
pub use content_type::ContentType;
pub use error::Error;
pub use gzip::{GzipWriter, Inflate, InflateLimits};
pub use headers::{PartHeaders, TransferEncoding};
pub use parser::{Event, Limits, PushParser, check_start};
