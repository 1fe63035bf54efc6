//! `make demo`: the main job from nothing. An e-address message crosses the border to six recipients and comes back as a
//! true status for each; one message comes the other way.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Parser;
use conformance::demo::{self, Demo};

/// The demonstration.
#[derive(Parser)]
struct Args {
    /// The tilts binary
    #[arg(long)]
    tilts: PathBuf,
    /// Where everything is put
    #[arg(long, default_value = "demo-data")]
    root: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("\nNot every status is what it must be: see above.");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("\nThe demonstration broke off: {error:#}");
            eprintln!("Logs: {}/*/tilts.log", args.root.display());
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> Result<bool> {
    let begun = Instant::now();
    say("Keys, certificates, an SML zone, an SMP and three access points, all on loopback.");
    let mut demo = Demo::set_up(&args.root, &args.tilts).await?;
    say("The Latvian access point and the foreign access point A run; B is down for now.");
    let message = demo.submit().await?;
    say("Submitted: a signed DIV envelope with three attachments for six recipients.");
    let good = follow(&mut demo, &message).await?;
    let back = abroad(&mut demo).await?;
    say("The test service of A, asked with tilts ping.");
    println!("      {}", demo.ping().await?);
    say(&format!("Done in {:.1} s.", begun.elapsed().as_secs_f32()));
    println!("\n  Everything lies in   {}", args.root.canonicalize()?.display());
    println!("  Console              http://{}/", demo.latvia.node.ports.admin);
    println!("  Backend interface    http://{}/openapi.json", demo.latvia.node.ports.backend);
    stay(&mut demo).await?;
    Ok(good && back)
}

async fn follow(demo: &mut Demo, message: &str) -> Result<bool> {
    let mut told = std::collections::BTreeSet::new();
    let until = Instant::now() + Duration::from_secs(90);
    let mut answered = false;
    let mut started = false;
    loop {
        for line in demo.news(message).await? {
            if told.insert(line.clone()) {
                println!("      {line}");
            }
        }
        if !answered {
            answered = demo.answer_as_recipients().await?;
            if answered {
                say("At A: recipient 1 took the message, recipient 2 refused it, recipient 3 does nothing.");
            }
        }
        if !started && demo.only_b_is_open(message).await? {
            started = true;
            let first = demo.status(message, 5).await?;
            demo.remember_first(&first);
            say(&format!("Recipient 6 is {} while B is down. Now B starts.", first.send));
            demo.start_b().await?;
        }
        if demo.settled(message).await? {
            break;
        }
        if Instant::now() > until {
            println!("{}", demo.table(message).await?.0);
            bail!("not settled after 90 s");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let (table, good) = demo.table(message).await?;
    println!("\n{table}");
    Ok(good)
}

async fn abroad(demo: &mut Demo) -> Result<bool> {
    say("The other direction: a message from A to a Latvian e-address.");
    let message = demo.submit_from_abroad().await?;
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        if demo.answer_as_latvia()? {
            say("It arrived in div-in/ as a new signed envelope; the national side took it.");
        }
        let status = demo.status_at_a(&message).await?;
        if status.delivery == demo::DELIVERED {
            println!("      A knows: {} / {}", status.send, status.delivery);
            return Ok(status.send == demo::SENT);
        }
        if Instant::now() > until {
            bail!("the message from abroad is {} / {} after 60 s", status.send, status.delivery);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// On a terminal the access points stay up for the console.
#[allow(clippy::disallowed_methods, reason = "the demonstration's own switch")]
async fn stay(demo: &mut Demo) -> Result<()> {
    if !std::io::stdin().is_terminal() || std::env::var("DEMO_ONCE").is_ok_and(|v| v == "1") {
        return demo.stop().await;
    }
    println!("\n  The access points stay up. End with Ctrl-C.");
    tokio::signal::ctrl_c().await.context("waiting for Ctrl-C")?;
    demo.stop().await
}

fn say(text: &str) {
    println!("\n== {text}");
    let _ = std::io::stdout().flush();
}
