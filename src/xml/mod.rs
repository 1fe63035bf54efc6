//! Hardened XML parse, canonicalisation and writer.
