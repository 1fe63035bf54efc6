//! The DIV envelope of the national e-address system.
