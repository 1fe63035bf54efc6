//! Valid requests bent by a seeded generator: octets, structure, and signatures wrapped around something else.

pub mod line;
pub mod mutation;
pub mod scan;
pub mod seeds;
pub mod siege;
pub mod target;
pub mod wrapping;
