//! phase4 as processes: a receiver with many paths, and senders that take one job per line.

use std::path::{Path, PathBuf};

use anyhow::Result;
use tokio::process::Command;

use super::java::Java;
use super::process::Process;

/// Our Java program around phase4, and what runs it.
#[derive(Debug, Clone)]
pub struct Phase4 {
    /// The runtime.
    pub java: Java,
    /// The jar that Maven made.
    pub jar: PathBuf,
    /// Logs go here.
    pub folder: PathBuf,
}

/// A third of the machine at most; phase4 keeps payloads in memory several times over.
const LARGE: [&str; 2] = ["-Xmx3g", "-XX:+UseSerialGC"];

impl Phase4 {
    /// Starts it in a mode.
    pub fn start(
        &self,
        name: &str,
        mode: &str,
        options: &[(&str, &Path)],
        more: &[(&str, &str)],
    ) -> Result<Process> {
        self.start_with(&LARGE, name, mode, options, more)
    }

    /// The same with other flags for the runtime.
    pub fn start_with(
        &self,
        flags: &[&str],
        name: &str,
        mode: &str,
        options: &[(&str, &Path)],
        more: &[(&str, &str)],
    ) -> Result<Process> {
        let mut command = Command::new(&self.java.binary);
        command.args(flags).args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-jar"]);
        command.arg(&self.jar).arg(mode);
        for (option, path) in options {
            command.arg(format!("--{option}")).arg(path);
        }
        for (option, value) in more {
            command.arg(format!("--{option}")).arg(value);
        }
        Process::spawn(name, command, &self.folder.join(format!("{name}.log")))
    }
}
