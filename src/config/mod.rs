//! Files and environment to each room's `Config`.
