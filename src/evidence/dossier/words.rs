//! The report in plain words.

use std::fmt::Write as _;

use super::{Dossier, Entry};
use crate::clock::Timestamp;
use crate::status::{Record, Signal};

pub(super) fn report(dossier: &Dossier) -> String {
    let mut text = String::new();
    let subject = &dossier.subject;
    let _ = writeln!(text, "PIEGĀDES PIERĀDĪJUMI / EVIDENCE OF DELIVERY\n");
    let _ = writeln!(text, "Sūtītājs / Sender:      {}", subject.original_sender);
    let _ = writeln!(
        text,
        "Saņēmējs / Recipient:   {}",
        subject.participant.as_deref().unwrap_or(&subject.address)
    );
    let _ = writeln!(text, "Iesniegums / Submission: {} ({})", subject.submission, subject.client_id);
    for id in &subject.message_ids {
        let _ = writeln!(text, "Ziņojums / MessageId:   {id}");
    }
    for digest in &subject.payloads {
        let _ = writeln!(text, "Saturs / Content SHA-256: {digest}");
    }
    status(&mut text, &dossier.record);
    let _ = writeln!(text, "\nNotikumi / Events (UTC)\n");
    for entry in &dossier.chain {
        event(&mut text, entry);
    }
    let _ = writeln!(text, "\n{HOW}");
    text
}

fn status(text: &mut String, record: &Record) {
    let at = |time: Option<Timestamp>| time.map(|t| format!(" ({t})")).unwrap_or_default();
    let send = (record.send.latvian(), record.send.english(), at(record.sent_at));
    let delivery = (record.delivery.latvian(), record.delivery.english(), at(record.delivered_at));
    let _ = writeln!(text, "\nSūtīšanas statuss / Send status:      {} / {}{}", send.0, send.1, send.2);
    let _ =
        writeln!(text, "Piegādes statuss / Delivery status:   {} / {}{}", delivery.0, delivery.1, delivery.2);
    if record.provisional {
        let _ = writeln!(
            text,
            "Provizorisks: balstās uz taimeri vai operatora rīcību. / Provisional: by a timer or an operator."
        );
    }
}

fn event(text: &mut String, entry: &Entry) {
    let link = &entry.link;
    let words = link.signal.parse::<Signal>().map_or("?", in_words);
    let signed = if link.signed { "signed" } else { "not signed" };
    let _ = writeln!(text, "{:>4}. {}  {words}", link.sequence, link.event_time);
    let _ = writeln!(
        text,
        "      by: {} ({}), {signed}; known here since {}",
        link.kind, link.format, link.received
    );
    if let Some(detail) = &link.detail {
        let _ = writeln!(text, "      {detail}");
    }
}

const fn in_words(signal: Signal) -> &'static str {
    match signal {
        Signal::Accepted => "accepted for sending",
        Signal::Rejected => "not accepted for this recipient",
        Signal::NotFound => "the recipient or its access point was not found",
        Signal::SendFailed => "could not be sent",
        Signal::Uncertain => "sent, but it is not known whether it arrived",
        Signal::Receipted => "the recipient's access point received it and signed a receipt",
        Signal::RelayAccepted => "the recipient's service took it over",
        Signal::RelayFailed => "could not be relayed",
        Signal::RelayRejected => "the recipient's service refused it",
        Signal::Consigned => "was put at the recipient's disposal",
        Signal::ConsignmentFailed => "could not be put at the recipient's disposal",
        Signal::Taken => "was taken by the recipient",
        Signal::Refused => "was refused by the recipient",
        Signal::Expired => "was not taken in time",
        Signal::Retried => "an operator ordered a new try",
        Signal::Note => "note",
    }
}

const HOW: &str = "\
How to check this dossier without any special program

1. manifest.json holds the SHA-256 of every file.
2. chain.jsonl holds one line per event. The SHA-256 of each line (without its line end) stands in the next line as
   \"previous\"; the \"sha256\" of a line is that of the file evidence/<number>-*.
3. checkpoints.json: beginning with SHA-256(00 | \"<recipient> <sequence> <head>\"), join each step's hash on the side
   it names, SHA-256(01 | left | right), and reach the root of the checkpoint.
4. Receipts and evidence are XML with an enveloped XML signature; the signers' certificates are under certificates/.

`tilts evidence verify <this file>` does all of it.";
