//! SOAP 1.2 envelope and faults.
