//! as4, a Peppol stack in Python: one process that receives and sends.

use std::path::{Path, PathBuf};

use anyhow::Result;
use tokio::process::Command;

use super::{Peer, Stack, files, keys, served};
use crate::peers::gateway::PASSWORD;
use crate::peers::process::Process;
use crate::peers::relay::Relay;
use crate::world::World;

/// Starts it; `python` is the interpreter of its virtual environment.
pub async fn start(world: &World, python: &Path, program: &Path) -> Result<Peer> {
    let stack = Stack::As4;
    let folder = keys(world, stack)?;
    let mut command = Command::new(python);
    // Nothing of a run may stay beside the program.
    command.arg("-B").arg(program).args(["--password", PASSWORD]);
    let tls: [(&str, PathBuf); 2] =
        [("tls-certificate", folder.join("tls.pem")), ("tls-key", folder.join("tls.key"))];
    for (option, file) in files(&folder, world).into_iter().chain(tls) {
        command.arg(format!("--{option}")).arg(file);
    }
    for participant in served(stack) {
        command.args(["--serves", &participant]);
    }
    let mut receiver = Process::spawn(stack.name(), command, &folder.join("as4.log"))?;
    let port = receiver.port().await?;
    let relay = Relay::start(format!("127.0.0.1:{port}").parse()?, 1).await?;
    Ok(Peer::new(stack, folder, (receiver, None), port, relay))
}
