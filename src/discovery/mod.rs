//! SML (DNS), SMP and cache; yields an `Endpoint`.
