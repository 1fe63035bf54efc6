//! Names of the metrics that tilts exports, in one place.
