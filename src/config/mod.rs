//! Files and environment to each room's own configuration value. Defaults live with the struct that they belong to;
//! unknown keys are errors; every problem of a file is reported, not only the first.

mod bounds;
pub mod file;
mod load;
mod patterns;
mod problems;
mod s3;
mod store;
mod suites;
mod trust;

pub use load::{Keys, Settings, load};
pub use problems::{Problem, Problems};
pub use store::store;
pub use trust::anchors;
