//! A look at message units that may be wrong, for captured messages; nothing is judged here.

use super::names::{DEFAULT_MPC, EB, EBBP};
use crate::xml::Element;

/// What can be seen of one message unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitView {
    /// `UserMessage`, `Receipt`, `Error` or `PullRequest`; `SignalMessage` where none of them can be told.
    pub kind: &'static str,
    /// MessageId as written.
    pub message_id: Option<String>,
    /// RefToMessageId as written.
    pub ref_to_message_id: Option<String>,
    /// Message partition channel of a UserMessage or PullRequest, the default one when absent.
    pub mpc: Option<String>,
    /// (code, severity) of each Error.
    pub errors: Vec<(String, String)>,
    /// Count of MessagePartNRInformation in a Receipt.
    pub nri_references: usize,
}

/// The units below an `eb:Messaging` element, in document order.
pub fn overview(messaging: Element<'_>) -> Vec<UnitView> {
    messaging.children().filter_map(view).collect()
}

fn view(unit: Element<'_>) -> Option<UnitView> {
    if unit.is(EB, "UserMessage") {
        return Some(UnitView { mpc: Some(mpc(unit)), ..base(unit, "UserMessage") });
    }
    if !unit.is(EB, "SignalMessage") {
        return None;
    }
    if let Some(receipt) = unit.child(EB, "Receipt") {
        let nri_references = receipt.descendants().filter(|e| e.is(EBBP, "MessagePartNRInformation")).count();
        return Some(UnitView { nri_references, ..base(unit, "Receipt") });
    }
    if let Some(pull) = unit.child(EB, "PullRequest") {
        return Some(UnitView { mpc: Some(mpc(pull)), ..base(unit, "PullRequest") });
    }
    let errors: Vec<_> = unit.children_named(EB, "Error").map(error).collect();
    let kind = if errors.is_empty() { "SignalMessage" } else { "Error" };
    Some(UnitView { errors, ..base(unit, kind) })
}

fn base(unit: Element<'_>, kind: &'static str) -> UnitView {
    let info = unit.child(EB, "MessageInfo");
    let field = |name| info.and_then(|i| i.child(EB, name)).map(|e| e.text().trim().to_owned());
    UnitView {
        kind,
        message_id: field("MessageId"),
        ref_to_message_id: field("RefToMessageId"),
        mpc: None,
        errors: Vec::new(),
        nri_references: 0,
    }
}

fn mpc(unit: Element<'_>) -> String {
    unit.attribute("mpc").unwrap_or(DEFAULT_MPC).to_owned()
}

fn error(entry: Element<'_>) -> (String, String) {
    let attribute = |name| entry.attribute(name).unwrap_or_default().to_owned();
    (attribute("errorCode"), attribute("severity"))
}
