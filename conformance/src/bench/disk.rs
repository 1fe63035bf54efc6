//! How fast the disk is: what must be durable cannot be faster.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;

use super::Content;

/// Octets that are written.
const OCTETS: u64 = 256 << 20;

/// Octets a second that go into one file of a folder until the system says that they are on the disk.
pub fn rate(folder: &Path) -> Result<f64> {
    let mut file: File = tempfile::tempfile_in(folder)?;
    let begun = Instant::now();
    for chunk in Content::Noise.chunks(0, OCTETS) {
        file.write_all(&chunk)?;
    }
    file.sync_all()?;
    Ok(OCTETS as f64 / begun.elapsed().as_secs_f64())
}
