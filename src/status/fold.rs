//! The one judge: [`fold()`] (envelopes-evidence 4.3 with the changes of model 4).
//!
//! The verdict is built from the *set* of rows in two layers. Firm rows (signed evidence of the other side, receipts, the
//! national system's word) give a record by rank; then rows of our own timers and operators may move it, but only
//! where no firm row has spoken. Arrival order decides one thing alone: of TAKEN, REFUSED and EXPIRED, which are mutually
//! final, the first verified one stands and the others raise an alarm.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    Acceptance, DeliveredOn, EvidenceProfile, Kind, MissedOn, NationalDelivery, NationalSend, Policy, Row,
    SentOn, Signal, UncertainAfterDeadline, words,
};
use crate::clock::Timestamp;

/// Where a message stands for one recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Taken over; being looked up, queued or sent.
    Received,
    /// The send deadline passed and the other side may or may not have it.
    Uncertain,
    /// The other access point has it, by its receipt.
    AtRemoteGateway,
    /// At the recipient's disposal.
    Available,
    /// Taken by the recipient. Final.
    Delivered,
    /// Refused by the recipient. Final.
    Refused,
    /// The recipient did not act in time. Final unless provisional.
    Missed,
    /// Failed before it reached the recipient. Final.
    Failed,
    /// Was shown as `Izsūtīts`, then reported lost: no national value exists for that. Final, an operator's case.
    FailedAfterAvailable,
}
words!(State, "state", {
    Received => "received",
    Uncertain => "uncertain",
    AtRemoteGateway => "at-remote-gateway",
    Available => "available",
    Delivered => "delivered",
    Refused => "refused",
    Missed => "missed",
    Failed => "failed",
    FailedAfterAvailable => "failed-after-available",
});

impl State {
    /// True when no further signal is waited for.
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Delivered | Self::Refused | Self::Missed | Self::Failed | Self::FailedAfterAvailable
        )
    }
}

/// Something that a person must look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "alarm")]
pub enum Alarm {
    /// Two final words of the other side exclude each other; the first one stands.
    Contradiction {
        /// The signal that stands.
        stands: Signal,
        /// The signal that came too late.
        refused: Signal,
    },
    /// Shown as `Izsūtīts`, then reported lost.
    LostAfterAvailable,
    /// The rows do not begin with an acceptance: the default policy was used.
    NoAcceptance,
}

/// Something that a person may want to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "notice")]
pub enum Notice {
    /// A timer of ours ran out after the receipt; it changes no national status.
    DeadlinePassed {
        /// What was waited for in vain, as its negative signal.
        signal: Signal,
    },
    /// The send deadline passed with an attempt that may have been read.
    Uncertain,
    /// An operator's verdict stands against evidence of the other side and has no effect.
    OperatorOverruled {
        /// What the operator had said.
        signal: Signal,
    },
    /// Evidence without a valid signature of one who may testify; it has no effect.
    Unsigned {
        /// What it claimed.
        signal: Signal,
    },
}

/// What the rows of one recipient amount to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Where the message stands.
    pub state: State,
    /// National send status.
    pub send: NationalSend,
    /// National delivery status.
    pub delivery: NationalDelivery,
    /// The time shown with `Izsūtīts`.
    pub sent_at: Option<Timestamp>,
    /// The time shown with the delivery status.
    pub delivered_at: Option<Timestamp>,
    /// True when the verdict is a timer's or an operator's: signed evidence of the other side would override it.
    pub provisional: bool,
    /// Evidence profile as of acceptance.
    pub profile: EvidenceProfile,
    /// Policy as of acceptance.
    pub policy: Policy,
    /// What a person must look at.
    pub alarms: BTreeSet<Alarm>,
    /// What a person may want to look at.
    pub notices: BTreeSet<Notice>,
}

/// Folds the rows of one recipient, in any order (their `sequence` tells the order of arrival), to its record.
pub fn fold(rows: &[Row]) -> Record {
    let acceptance = rows.iter().filter(|r| r.acceptance.is_some()).min_by_key(|r| r.sequence);
    let Acceptance { policy, profile } = acceptance.and_then(|r| r.acceptance).unwrap_or(DEFAULT);
    let last_retry =
        rows.iter().filter(|r| r.signal == Signal::Retried).map(|r| r.sequence).max().unwrap_or(0);
    let valid: Vec<&Row> = rows.iter().filter(|r| r.sequence >= last_retry || !voided_by_retry(r)).collect();

    let mut record =
        firm_record(&Facts::gather(valid.iter().copied().filter(|r| r.is_firm())), policy, profile);
    if acceptance.is_none() {
        record.alarms.insert(Alarm::NoAcceptance);
    }
    record.hear_timers(&Facts::gather(valid.iter().copied().filter(|r| r.kind == Kind::Local)));
    let verdict = valid.iter().filter(|r| r.kind == Kind::Operator && is_verdict(r.signal));
    if let Some(row) = verdict.max_by_key(|r| r.sequence) {
        record.hear_operator(row);
    }
    let unsigned = valid.iter().filter(|r| r.kind == Kind::Remote && !r.is_firm() && is_verdict(r.signal));
    record.notices.extend(unsigned.map(|r| Notice::Unsigned { signal: r.signal }));
    record
}

const DEFAULT: Acceptance = Acceptance {
    policy: Policy::for_profile(EvidenceProfile::ReceiptOnly),
    profile: EvidenceProfile::ReceiptOnly,
};

/// A new try ends what we and the other side's transport said against the old one, never what evidence proved.
fn voided_by_retry(row: &Row) -> bool {
    row.signal == Signal::SendFailed || (!row.is_firm() && is_verdict(row.signal) && row.kind != Kind::Remote)
}

fn is_verdict(signal: Signal) -> bool {
    !matches!(signal, Signal::Accepted | Signal::Retried | Signal::Note)
}

/// Per signal the earliest event time (equal rank: the earlier one wins) and the first arrival.
struct Facts(BTreeMap<Signal, (Timestamp, u32)>);

impl Facts {
    fn gather<'r>(rows: impl Iterator<Item = &'r Row>) -> Self {
        let mut facts = BTreeMap::new();
        for row in rows {
            let seen = facts.entry(row.signal).or_insert((row.event_time, row.sequence));
            *seen = (seen.0.min(row.event_time), seen.1.min(row.sequence));
        }
        Self(facts)
    }

    fn time(&self, signal: Signal) -> Option<Timestamp> {
        self.0.get(&signal).map(|(time, _)| *time)
    }

    fn earliest(&self, signals: &[Signal]) -> Option<Timestamp> {
        signals.iter().filter_map(|s| self.time(*s)).min()
    }

    /// Of the three mutually final signals, the one that arrived first.
    fn final_word(&self) -> Option<(Signal, Timestamp)> {
        let words = FINAL.iter().filter_map(|s| self.0.get(s).map(|(time, arrived)| (*arrived, *s, *time)));
        words.min().map(|(_, signal, time)| (signal, time))
    }
}

const FINAL: [Signal; 3] = [Signal::Taken, Signal::Refused, Signal::Expired];
const LOST: [Signal; 3] = [Signal::RelayFailed, Signal::RelayRejected, Signal::ConsignmentFailed];
const NOT_SENT: [Signal; 3] = [Signal::Rejected, Signal::NotFound, Signal::SendFailed];

fn firm_record(facts: &Facts, policy: Policy, profile: EvidenceProfile) -> Record {
    let mut record = Record {
        state: State::Received,
        send: NationalSend::Processing,
        delivery: NationalDelivery::None,
        sent_at: None,
        delivered_at: None,
        provisional: false,
        profile,
        policy,
        alarms: BTreeSet::new(),
        notices: BTreeSet::new(),
    };
    let by_policy = delivered_by_policy(facts, policy.delivered_on);
    let shown_sent = shown_sent(facts, policy.sent_on).or(by_policy);
    if let Some(at) = shown_sent {
        record.sent(at);
    }
    if let Some((signal, at)) = facts.final_word() {
        record.conclude(signal, at);
        record.alarm_contradictions(facts, signal);
    } else if facts.earliest(&LOST).is_some() {
        record.lose();
    } else if let Some(at) = by_policy {
        record.conclude(Signal::Taken, at);
    } else if facts.time(Signal::Consigned).is_some()
        || (policy.sent_on == SentOn::Relay && facts.time(Signal::RelayAccepted).is_some())
    {
        record.state = State::Available;
    } else if facts.earliest(&[Signal::Receipted, Signal::RelayAccepted]).is_some() {
        record.state = State::AtRemoteGateway;
    } else if facts.earliest(&NOT_SENT).is_some() {
        record.fail();
    }
    record
}

/// The time shown with `Izsūtīts`: of the highest signal that the policy lets count.
fn shown_sent(facts: &Facts, sent_on: SentOn) -> Option<Timestamp> {
    let relay = (sent_on != SentOn::Consignment).then(|| facts.time(Signal::RelayAccepted)).flatten();
    let receipt = (sent_on == SentOn::Receipt).then(|| facts.time(Signal::Receipted)).flatten();
    facts.time(Signal::Consigned).or(relay).or(receipt)
}

/// The time shown with `Piegādāts` where the operator chose less than retrieval.
fn delivered_by_policy(facts: &Facts, delivered_on: DeliveredOn) -> Option<Timestamp> {
    let consigned = facts.time(Signal::Consigned);
    match delivered_on {
        DeliveredOn::Retrieval => None,
        DeliveredOn::Consignment => consigned,
        DeliveredOn::Receipt => consigned.or(facts.time(Signal::Receipted)),
    }
}

impl Record {
    fn sent(&mut self, at: Timestamp) {
        self.send = NationalSend::Sent;
        self.sent_at = Some(at);
    }

    /// TAKEN, REFUSED or EXPIRED: each implies `Izsūtīts` with the same time where nothing else showed it (model 4).
    fn conclude(&mut self, signal: Signal, at: Timestamp) {
        (self.state, self.delivery) = match signal {
            Signal::Refused => (State::Refused, NationalDelivery::Refused),
            Signal::Expired => (State::Missed, NationalDelivery::Missed),
            _ => (State::Delivered, NationalDelivery::Delivered),
        };
        self.sent(self.sent_at.unwrap_or(at));
        self.delivered_at = Some(at);
    }

    fn alarm_contradictions(&mut self, facts: &Facts, stands: Signal) {
        let against = FINAL.iter().chain(&LOST).filter(|s| **s != stands && facts.time(**s).is_some());
        self.alarms.extend(against.map(|refused| Alarm::Contradiction { stands, refused: *refused }));
    }

    /// Reported lost: what was shown as `Izsūtīts` stays so, and becomes an operator's case.
    fn lose(&mut self) {
        match self.send {
            NationalSend::Sent => {
                self.state = State::FailedAfterAvailable;
                self.alarms.insert(Alarm::LostAfterAvailable);
            }
            _ => self.fail(),
        }
    }

    fn fail(&mut self) {
        self.state = State::Failed;
        self.send = NationalSend::Failed;
    }

    /// Rows of our own. After a verified receipt they change no national status, but for the policy `missed_on`.
    fn hear_timers(&mut self, facts: &Facts) {
        if let Some(at) = facts.time(Signal::Expired) {
            self.hear_expiry(at);
        }
        let overdue = [Signal::RelayFailed, Signal::ConsignmentFailed];
        if !matches!(self.state, State::Received | State::Failed) {
            let unanswered = !matches!(self.state, State::Available) && !self.state.is_final();
            let notices = overdue.iter().filter(|s| unanswered && facts.time(**s).is_some());
            self.notices.extend(notices.map(|signal| Notice::DeadlinePassed { signal: *signal }));
        } else if facts.time(Signal::Uncertain).is_some() {
            self.stay_uncertain();
        } else if facts.earliest(&NOT_SENT).is_some() {
            self.fail();
        } else if self.state == State::Received && facts.earliest(&overdue).is_some() {
            self.fail();
            self.provisional = true;
        }
    }

    fn hear_expiry(&mut self, at: Timestamp) {
        if self.state.is_final() {
            return;
        }
        if self.policy.missed_on == MissedOn::Deadline && self.send == NationalSend::Sent {
            self.conclude(Signal::Expired, at);
            self.provisional = true;
        } else {
            self.notices.insert(Notice::DeadlinePassed { signal: Signal::Expired });
        }
    }

    fn stay_uncertain(&mut self) {
        self.notices.insert(Notice::Uncertain);
        match self.policy.uncertain_after_deadline {
            UncertainAfterDeadline::Keep => {
                self.state = State::Uncertain;
                self.send = NationalSend::Processing;
            }
            UncertainAfterDeadline::Failed => {
                self.fail();
                self.provisional = true;
            }
        }
    }

    /// The operator's last verdict stands against our timers, never against the other side (model 4).
    fn hear_operator(&mut self, row: &Row) {
        let firm_final = self.state.is_final() && !self.provisional && self.state != State::Failed;
        let spoken = match row.signal {
            Signal::Taken | Signal::Refused | Signal::Expired => firm_final,
            Signal::Consigned | Signal::RelayAccepted | Signal::Receipted => {
                firm_final || self.has_reached(State::Available)
            }
            Signal::RelayFailed | Signal::RelayRejected | Signal::ConsignmentFailed => {
                firm_final || self.has_reached(State::Available)
            }
            _ => self.has_reached(State::AtRemoteGateway),
        };
        if spoken {
            self.notices.insert(Notice::OperatorOverruled { signal: row.signal });
            return;
        }
        self.take_operators_word(row);
    }

    fn has_reached(&self, state: State) -> bool {
        let gateway = matches!(
            self.state,
            State::AtRemoteGateway
                | State::Available
                | State::Delivered
                | State::Refused
                | State::Missed
                | State::FailedAfterAvailable
        );
        gateway && (state == State::AtRemoteGateway || self.state != State::AtRemoteGateway)
    }

    fn take_operators_word(&mut self, row: &Row) {
        match row.signal {
            Signal::Taken | Signal::Refused | Signal::Expired => self.conclude(row.signal, row.event_time),
            Signal::Consigned => {
                self.state = State::Available;
                self.sent(row.event_time);
            }
            Signal::RelayAccepted | Signal::Receipted => {
                let counts = self.policy.sent_on == SentOn::Receipt
                    || (self.policy.sent_on == SentOn::Relay && row.signal == Signal::RelayAccepted);
                self.state = State::AtRemoteGateway;
                self.send = NationalSend::Processing;
                if counts {
                    self.sent(self.sent_at.unwrap_or(row.event_time));
                }
            }
            Signal::RelayFailed | Signal::RelayRejected | Signal::ConsignmentFailed => self.lose(),
            // Whoever stopped it knows better than a policy for deadlines, and has the last word.
            Signal::Uncertain => {
                self.notices.insert(Notice::Uncertain);
                self.state = State::Uncertain;
                self.send = NationalSend::Processing;
            }
            _ => self.fail(),
        }
        self.provisional = true;
    }
}
