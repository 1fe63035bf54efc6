//! Messages, leases, duplicates, evidence and payloads.
