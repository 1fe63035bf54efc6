//! multipart/related, streaming, and gzip of a part.
