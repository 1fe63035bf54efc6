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

impl Phase4 {
    /// Starts it in a mode.
    pub fn start(
        &self,
        name: &str,
        mode: &str,
        options: &[(&str, &Path)],
        more: &[(&str, &str)],
    ) -> Result<Process> {
        let mut command = Command::new(&self.java.binary);
        // A third of the machine at most; phase4 keeps payloads in memory several times over.
        command.args(["-Xmx3g", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-jar"]);
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
