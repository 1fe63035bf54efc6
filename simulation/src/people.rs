//! Producer and consumer, and whoever asks at the end. They live outside of the nodes and forget nothing when one dies.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use conformance::demo::{list, status_of};
use conformance::http::get_by;
use conformance::lab::truth::signals;
use conformance::lab::{Ledger, Letter, Side, consumer, producer};
use futures_util::future::try_join_all;
use serde_json::Value;

use crate::engine::{Moment, Zero};
use crate::folders;
use crate::net::Hosted;
use crate::observer::Observer;
use crate::operator::Acts;
use crate::plan::CALM;
use crate::trace::Trace;
use crate::world::{ADMIN, BACKEND, address};

/// How often the consumer looks.
const LOOK: Duration = Duration::from_millis(400);

/// How often the statuses are looked at.
const OBSERVE: Duration = Duration::from_millis(900);

/// After the calm looks at which nothing is new become rarer, down to one in so many.
const RARELY: u32 = 8;

/// What people are made of.
#[derive(Clone)]
pub struct People {
    /// The network as they see it.
    pub outside: Hosted,
    /// What went in and what came out.
    pub ledger: Ledger,
    /// Folders of producer and consumer, where they have one.
    pub mail: [Option<PathBuf>; 2],
    /// What the operator did.
    pub acts: Acts,
    /// The time.
    pub zero: Zero,
    /// All that happens.
    pub trace: Trace,
}

impl People {
    /// Hands a letter in when it is time, until the sender says that it has it.
    pub async fn produce(self, letter: Letter, at: Moment) {
        tokio::time::sleep(at.saturating_sub(self.zero.now())).await;
        self.tell(format_args!("letter {} of {} octets", letter.number, letter.content.len()));
        let to = [address(Side::Sender, BACKEND)];
        let taken = match &self.mail[Side::Sender as usize] {
            Some(mail) => folders::insist(mail, &letter, &self.ledger).await,
            None => producer::insist(&self.outside, &to, &letter, &self.ledger).await,
        };
        match taken {
            Ok(()) => self.tell(format_args!("letter {} is acknowledged", letter.number)),
            Err(error) => self.ledger.wrong(format!("letter {}: {error:#}", letter.number)),
        }
    }

    /// Takes what is offered, for ever.
    pub async fn consume(self) {
        let mut before = (0, 0);
        let mut rarer = 1;
        loop {
            // The node is down now and then: whatever fails is done again.
            let round = self.take().await;
            let offered = self.ledger.book().offered.len();
            let now = (offered, self.ledger.progress().1);
            rarer = self.rarer(rarer, now != before);
            if now != before {
                self.tell(format_args!("consumer: {} offered, {} settled", now.0, now.1));
                before = now;
            }
            if let Err(error) = round {
                self.tell(format_args!("consumer: {error:#}"));
            }
            tokio::time::sleep(LOOK * rarer).await;
        }
    }

    /// Takes what is offered.
    ///
    /// # Errors
    /// The node is down, or its answer makes no sense.
    pub async fn take(&self) -> Result<()> {
        match &self.mail[Side::Receiver as usize] {
            Some(mail) => folders::round(mail, &self.ledger),
            None => consumer::round(&self.outside, address(Side::Receiver, BACKEND), &self.ledger).await,
        }
    }

    /// How much rarer the next look is, after one at which something was `new` or nothing.
    fn rarer(&self, rarer: u32, new: bool) -> u32 {
        match new || self.zero.now() < CALM {
            true => 1,
            false => (rarer * 2).min(RARELY),
        }
    }

    /// Looks at the sender's statuses, for ever.
    pub async fn observe(self) {
        let mut observer = Observer::default();
        let (mut before, mut rarer) = (Value::Null, 1);
        loop {
            tokio::time::sleep(OBSERVE * rarer).await;
            let offered: BTreeSet<String> = self.ledger.book().offered.keys().cloned().collect();
            let Ok(page) = self.admin(Side::Sender, "/api/submissions?limit=200").await else { continue };
            let wrong = observer.look(&page, &offered, &self.ledger.book());
            rarer = self.rarer(rarer, page != before);
            before = page;
            for wrong in wrong {
                self.tell(format_args!("WRONG: {wrong}"));
                self.ledger.wrong(wrong);
            }
        }
    }

    /// Whether the sender shows a final word for each letter, and the consumer has said its own.
    pub async fn is_settled(&self) -> bool {
        let handed_in = self.ledger.book().handed_in.len();
        let (acknowledged, settled) = self.ledger.progress();
        let Ok(page) = self.admin(Side::Sender, "/api/submissions?limit=200").await else { return false };
        let count = |ends: &dyn Fn(&Value) -> bool| {
            list(&page).flat_map(|s| list(&s["recipients"])).filter(|recipient| ends(recipient)).count()
        };
        let stopped = count(&|recipient| self.acts.have_stopped(recipient));
        let ended = count(&|recipient| status_of(recipient).delivery != "-");
        if acknowledged < handed_in || settled + stopped < handed_in || ended + stopped < handed_in {
            return false;
        }
        if self.mail[Side::Receiver as usize].is_some() {
            return true;
        }
        // What was at the disposal may be testified after what became of it.
        let Ok(all) = self.submissions().await else { return false };
        let recipients = || all.iter().flat_map(|detail| list(&detail["recipients"]));
        let consigned = |recipient| signals(recipient).any(|signal| signal == "consigned");
        recipients().all(|recipient| consigned(recipient) || self.acts.have_stopped(&recipient["recipient"]))
    }

    /// Every submission that the sender shows, whole.
    pub async fn submissions(&self) -> Result<Vec<Value>> {
        let page = self.admin(Side::Sender, "/api/submissions?limit=200").await?;
        let each = list(&page).map(async |submission| {
            let id = submission["id"].as_str().context("no id")?;
            self.admin(Side::Sender, &format!("/api/submissions/{id}")).await
        });
        try_join_all(each).await
    }

    /// What a side asks its operator to look at.
    pub async fn notices(&self, side: Side) -> Result<Value> {
        self.admin(side, "/api/notices").await
    }

    pub(crate) async fn admin(&self, side: Side, path: &str) -> Result<Value> {
        get_by(&self.outside, address(side, ADMIN), path).await
    }

    pub(crate) fn tell(&self, what: std::fmt::Arguments<'_>) {
        self.trace.event(self.zero.now(), what);
    }
}
