//! The WS-Security header, by a `SecurityPolicy` value.
