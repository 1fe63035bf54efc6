//! The state machine's promises: every order of arrival, every repetition, and the rules of model 4 one by one.

use super::*;
use crate::clock::Timestamp;

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + 60 * minute).unwrap()
}

/// A verified word of the other side; its event time and identifier follow from the signal.
fn remote(signal: Signal) -> Row {
    let minute = 10 * Signal::ALL.iter().position(|s| *s == signal).unwrap() as i64;
    Row::remote(signal, at(minute), at(minute + 1), format!("remote-{signal}"))
}

fn local(signal: Signal) -> Row {
    let minute = 1000 + Signal::ALL.iter().position(|s| *s == signal).unwrap() as i64;
    Row::local(signal, at(minute), format!("local-{signal}"))
}

fn operator(signal: Signal) -> Row {
    Row::operator(signal, at(2000), format!("operator-{signal}"), "clerk: said so on the telephone")
}

fn under(policy: Policy, rows: &[Row]) -> Record {
    let acceptance = Acceptance { policy, profile: EvidenceProfile::Rem };
    let mut chain = vec![Row::acceptance(at(0), acceptance)];
    chain.extend_from_slice(rows);
    for (index, row) in chain.iter_mut().enumerate() {
        row.sequence = index as u32 + 1;
    }
    fold(&chain)
}

fn rem(rows: &[Row]) -> Record {
    under(Policy::for_profile(EvidenceProfile::Rem), rows)
}

fn receipt_only(rows: &[Row]) -> Record {
    under(Policy::for_profile(EvidenceProfile::ReceiptOnly), rows)
}

fn shown(record: &Record) -> (State, &'static str, &'static str) {
    (record.state, record.send.latvian(), record.delivery.latvian())
}

fn permutations(rows: &[Row]) -> Vec<Vec<Row>> {
    if rows.len() <= 1 {
        return vec![rows.to_vec()];
    }
    let mut all = Vec::new();
    for index in 0..rows.len() {
        let mut rest = rows.to_vec();
        let first = rest.remove(index);
        for mut tail in permutations(&rest) {
            tail.insert(0, first.clone());
            all.push(tail);
        }
    }
    all
}

fn policies() -> Vec<Policy> {
    let mut all = Vec::new();
    for sent_on in SentOn::ALL {
        for delivered_on in DeliveredOn::ALL {
            for missed_on in MissedOn::ALL {
                for uncertain in UncertainAfterDeadline::ALL {
                    all.push(Policy {
                        sent_on: *sent_on,
                        delivered_on: *delivered_on,
                        missed_on: *missed_on,
                        uncertain_after_deadline: *uncertain,
                    });
                }
            }
        }
    }
    all
}

/// Every row that the fold may meet, but for the three mutually final ones, of which `last` is the only one.
fn rows_with(last: Signal) -> Vec<Row> {
    let mut rows = vec![remote(last)];
    rows.extend(
        [
            Signal::SendFailed,
            Signal::Receipted,
            Signal::RelayAccepted,
            Signal::RelayFailed,
            Signal::Consigned,
            Signal::ConsignmentFailed,
        ]
        .map(remote),
    );
    rows.extend([Signal::Uncertain, Signal::SendFailed, Signal::RelayFailed, Signal::Expired].map(local));
    rows.push(operator(Signal::ConsignmentFailed));
    rows
}

fn subsets(rows: &[Row], most: usize) -> Vec<Vec<Row>> {
    (0..1_u32 << rows.len())
        .filter(|mask| mask.count_ones() as usize <= most)
        .map(|mask| {
            rows.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1).map(|(_, row)| row.clone()).collect()
        })
        .collect()
}

#[test]
fn no_order_of_arrival_changes_a_record() {
    for last in [Signal::Taken, Signal::Refused, Signal::Expired] {
        for chosen in subsets(&rows_with(last), 4) {
            for policy in policies() {
                let expected = under(policy, &chosen);
                for order in permutations(&chosen) {
                    assert_eq!(under(policy, &order), expected, "{order:#?}");
                }
            }
        }
    }
}

#[test]
fn no_repetition_changes_a_record() {
    for chosen in subsets(&rows_with(Signal::Taken), 4) {
        for policy in policies() {
            let twice: Vec<Row> = chosen.iter().chain(&chosen).cloned().collect();
            assert_eq!(under(policy, &twice), under(policy, &chosen));
        }
    }
}

#[test]
fn the_storage_order_of_numbered_rows_does_not_matter() {
    let rows = [remote(Signal::Taken), remote(Signal::Refused)];
    let mut chain: Vec<Row> = rows.to_vec();
    for (index, row) in chain.iter_mut().enumerate() {
        row.sequence = index as u32 + 1;
    }
    let forward = fold(&chain);
    chain.reverse();
    assert_eq!(fold(&chain), forward);
}

#[test]
fn once_sent_is_shown_no_row_of_the_other_side_takes_it_back() {
    for policy in policies() {
        for chosen in subsets(&rows_with(Signal::Refused), 3) {
            let before = under(policy, &chosen);
            if before.provisional || before.send != NationalSend::Sent {
                continue;
            }
            for next in rows_with(Signal::Refused) {
                let mut more = chosen.clone();
                more.push(next);
                assert_eq!(under(policy, &more).send, NationalSend::Sent, "{more:#?}");
            }
        }
    }
}

#[test]
fn a_receipt_alone_is_never_delivered_unless_the_policy_says_so() {
    for policy in policies().into_iter().filter(|p| p.delivered_on != DeliveredOn::Receipt) {
        assert_eq!(under(policy, &[remote(Signal::Receipted)]).delivery, NationalDelivery::None);
    }
    let chosen =
        Policy { delivered_on: DeliveredOn::Receipt, ..Policy::for_profile(EvidenceProfile::ReceiptOnly) };
    assert_eq!(under(chosen, &[remote(Signal::Receipted)]).delivery, NationalDelivery::Delivered);
}

#[test]
fn the_happy_way_under_each_profile() {
    assert_eq!(shown(&rem(&[])), (State::Received, "Apstrādē", "-"));
    let at_gateway = rem(&[remote(Signal::Receipted)]);
    assert_eq!(shown(&at_gateway), (State::AtRemoteGateway, "Apstrādē", "-"));
    let available = rem(&[remote(Signal::Receipted), remote(Signal::Consigned)]);
    assert_eq!(shown(&available), (State::Available, "Izsūtīts", "-"));
    assert_eq!(available.sent_at, Some(remote(Signal::Consigned).event_time));
    let taken = rem(&[remote(Signal::Receipted), remote(Signal::Consigned), remote(Signal::Taken)]);
    assert_eq!(shown(&taken), (State::Delivered, "Izsūtīts", "Piegādāts"));
    assert_eq!(taken.delivered_at, Some(remote(Signal::Taken).event_time));
    let receipt = receipt_only(&[remote(Signal::Receipted)]);
    assert_eq!(shown(&receipt), (State::AtRemoteGateway, "Izsūtīts", "-"));
}

#[test]
fn a_final_word_without_consignment_implies_sent_at_the_same_time() {
    for (signal, words) in [
        (Signal::Taken, (State::Delivered, "Izsūtīts", "Piegādāts")),
        (Signal::Refused, (State::Refused, "Izsūtīts", "Saņēmēja noraidīta")),
        (Signal::Expired, (State::Missed, "Izsūtīts", "Saņēmēja nokavēta")),
    ] {
        let record = rem(&[remote(Signal::Receipted), remote(signal)]);
        assert_eq!(shown(&record), words);
        assert_eq!(record.sent_at, record.delivered_at);
    }
}

#[test]
fn failures_before_and_after_the_message_was_available() {
    for signal in [Signal::Rejected, Signal::NotFound, Signal::SendFailed] {
        assert_eq!(shown(&rem(&[local(signal)])), (State::Failed, "Neizdevās izsūtīt", "-"));
    }
    let lost = rem(&[remote(Signal::Receipted), remote(Signal::ConsignmentFailed)]);
    assert_eq!(shown(&lost), (State::Failed, "Neizdevās izsūtīt", "-"));
    let after = rem(&[remote(Signal::Consigned), remote(Signal::ConsignmentFailed)]);
    assert_eq!(shown(&after), (State::FailedAfterAvailable, "Izsūtīts", "-"));
    assert!(after.alarms.contains(&Alarm::LostAfterAvailable));
}

#[test]
fn no_timer_changes_a_national_status_after_the_receipt() {
    for signal in [Signal::Expired, Signal::RelayFailed, Signal::ConsignmentFailed, Signal::SendFailed] {
        let before = rem(&[remote(Signal::Receipted)]);
        let after = rem(&[remote(Signal::Receipted), local(signal)]);
        assert_eq!(shown(&after), shown(&before));
        assert_eq!(after.notices.is_empty(), signal == Signal::SendFailed);
    }
}

#[test]
fn our_deadline_is_provisional_and_evidence_overrides_it() {
    let policy = Policy { missed_on: MissedOn::Deadline, ..Policy::for_profile(EvidenceProfile::Rem) };
    let missed = under(policy, &[remote(Signal::Consigned), local(Signal::Expired)]);
    assert_eq!(shown(&missed), (State::Missed, "Izsūtīts", "Saņēmēja nokavēta"));
    assert!(missed.provisional);
    let taken = under(policy, &[remote(Signal::Consigned), local(Signal::Expired), remote(Signal::Taken)]);
    assert_eq!(shown(&taken), (State::Delivered, "Izsūtīts", "Piegādāts"));
    assert!(!taken.provisional && taken.alarms.is_empty());
}

#[test]
fn the_first_of_two_final_words_stands_and_the_second_raises_an_alarm() {
    for (first, second, state) in [
        (Signal::Taken, Signal::Refused, State::Delivered),
        (Signal::Refused, Signal::Taken, State::Refused),
        (Signal::Expired, Signal::Taken, State::Missed),
    ] {
        let record = rem(&[remote(first), remote(second)]);
        assert_eq!(record.state, state);
        assert!(record.alarms.contains(&Alarm::Contradiction { stands: first, refused: second }));
    }
}

#[test]
fn uncertain_stays_in_process_until_evidence_a_person_or_the_policy_moves_it() {
    let uncertain = rem(&[local(Signal::Uncertain)]);
    assert_eq!(shown(&uncertain), (State::Uncertain, "Apstrādē", "-"));
    assert!(uncertain.notices.contains(&Notice::Uncertain));
    assert_eq!(rem(&[local(Signal::Uncertain), remote(Signal::Taken)]).state, State::Delivered);
    let closed = rem(&[local(Signal::Uncertain), operator(Signal::SendFailed)]);
    assert_eq!(shown(&closed), (State::Failed, "Neizdevās izsūtīt", "-"));
    assert!(closed.provisional);
    let policy = Policy {
        uncertain_after_deadline: UncertainAfterDeadline::Failed,
        ..Policy::for_profile(EvidenceProfile::Rem)
    };
    let failed = under(policy, &[local(Signal::Uncertain)]);
    assert_eq!(shown(&failed), (State::Failed, "Neizdevās izsūtīt", "-"));
    assert!(failed.provisional);
}

#[test]
fn an_operator_never_overrides_the_other_side() {
    for signal in [Signal::SendFailed, Signal::Refused, Signal::ConsignmentFailed, Signal::Expired] {
        let record = rem(&[remote(Signal::Taken), operator(signal)]);
        assert_eq!(shown(&record), (State::Delivered, "Izsūtīts", "Piegādāts"));
        assert!(record.notices.contains(&Notice::OperatorOverruled { signal }));
        assert!(!record.provisional);
    }
    let moved =
        rem(&[remote(Signal::Receipted), operator(Signal::ConsignmentFailed), remote(Signal::Consigned)]);
    assert_eq!(shown(&moved), (State::Available, "Izsūtīts", "-"));
}

#[test]
fn a_retry_ends_our_earlier_verdict() {
    let again = rem(&[local(Signal::SendFailed), operator(Signal::Retried)]);
    assert_eq!(shown(&again), (State::Received, "Apstrādē", "-"));
    let failed = rem(&[local(Signal::SendFailed), operator(Signal::Retried), local(Signal::NotFound)]);
    assert_eq!(failed.state, State::Failed);
}

#[test]
fn unsigned_evidence_has_no_effect_but_a_notice() {
    let mut row = remote(Signal::Taken);
    row.signed = false;
    let record = rem(&[remote(Signal::Receipted), row]);
    assert_eq!(record.state, State::AtRemoteGateway);
    assert!(record.notices.contains(&Notice::Unsigned { signal: Signal::Taken }));
}

#[test]
fn words_and_policies_read_back() {
    for signal in Signal::ALL {
        assert_eq!(signal.as_str().parse::<Signal>().unwrap(), *signal);
    }
    for policy in policies() {
        let text = serde_json::to_string(&policy).unwrap();
        assert_eq!(serde_json::from_str::<Policy>(&text).unwrap(), policy);
    }
    let record = rem(&[remote(Signal::Taken), remote(Signal::Refused)]);
    let text = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
    assert!("delivred".parse::<Signal>().is_err());
}
