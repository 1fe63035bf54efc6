//! Operator REST on read models.
