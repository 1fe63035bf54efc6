//! A disk of a few megabytes that can be filled to the last octet and made free again: a tmpfs, where mounting is allowed.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

/// The small disk. It is unmounted when dropped.
pub struct Disk {
    at: PathBuf,
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a node that is killed a moment later has files open in it.
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}

impl Disk {
    /// Mounts one over a folder, which is made; `None` where this process may not mount.
    pub fn mount(at: &Path, megabytes: u32) -> Result<Option<Self>> {
        fs::create_dir_all(at)?;
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tilts-lab"]).arg(at);
        let mounted = command.output()?;
        if mounted.status.success() {
            return Ok(Some(Self { at: at.to_owned() }));
        }
        let said = String::from_utf8_lossy(&mounted.stderr).into_owned();
        match ["permission denied", "must be superuser", "not permitted"].iter().any(|s| said.contains(s)) {
            true => Ok(None),
            false => bail!("mount: {}", said.trim()),
        }
    }

    fn ballast(&self) -> PathBuf {
        self.at.join("ballast")
    }

    /// Takes all the room there is; octets taken.
    pub fn fill(&self) -> Result<u64> {
        let mut file = File::options().create(true).append(true).open(self.ballast())?;
        let mut taken = 0;
        for size in [64 << 10, 4 << 10, 1] {
            let chunk = vec![0; size];
            loop {
                match file.write(&chunk) {
                    Ok(count) => taken += count as u64,
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(taken)
    }

    /// Gives the room back.
    pub fn free(&self) -> Result<()> {
        Ok(fs::remove_file(self.ballast())?)
    }
}
