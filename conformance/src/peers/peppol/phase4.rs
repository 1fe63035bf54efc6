//! phase4 under its own Peppol profile: one process that receives, one that sends.

use std::path::Path;

use anyhow::Result;

use super::{Peer, Stack, files, keys, served};
use crate::peers::gateway::PASSWORD;
use crate::peers::java::Java;
use crate::peers::phase4::Phase4;
use crate::peers::relay::Relay;
use crate::world::World;

/// Starts both; they expect messages of `expected`.
pub async fn start(world: &World, jar: &Path, expected: &[String]) -> Result<Peer> {
    let stack = Stack::Phase4;
    let folder = keys(world, stack)?;
    let phase4 = Phase4 { java: Java::newest()?, jar: jar.to_owned(), folder: folder.clone() };
    let tls = folder.join("tls.p12");
    let files = files(&folder, world);
    let mut options: Vec<(&str, &Path)> = files.iter().map(|(name, file)| (*name, file.as_path())).collect();
    options.push(("tls-keystore", &tls));
    let (party, serves) = (stack.party(), served(stack));
    let mut words = vec![("profile", "peppol"), ("password", PASSWORD), ("party", &party)];
    words.extend(expected.iter().map(|party| ("expect", party.as_str())));
    words.extend(serves.iter().map(|participant| ("serves", participant.as_str())));
    let mut receiver = phase4.start("receiver", "receive", &options, &words)?;
    let sender = phase4.start("sender", "send", &options, &words)?;
    let port = receiver.port().await?;
    let relay = Relay::start(format!("127.0.0.1:{port}").parse()?, 1).await?;
    Ok(Peer::new(stack, folder, (receiver, Some(sender)), port, relay))
}
