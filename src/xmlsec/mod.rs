//! XML-DSig and XML-Enc on elements and streams.

mod signed_reference;

pub use signed_reference::SignedReference;
