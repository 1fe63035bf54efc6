//! Which messages a backend takes: the admission that receiving asks before the receipt (model.md 6).

use super::envelope;
use crate::ebms::{Code, UserMessage, names};
use crate::pmode::{Admission, Admitted, Envelope, Opening, PMode, Refusal};

/// What a backend takes. Empty lists mean everything; a trailing `*` means all that begin so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Serves {
    /// finalRecipient, `scheme::value`.
    pub participants: Vec<String>,
    /// Action.
    pub document_types: Vec<String>,
    /// Service.
    pub processes: Vec<String>,
}

impl Serves {
    /// Whether the backend takes a message with these values.
    pub fn takes(&self, participant: &str, document_type: &str, process: &str) -> bool {
        fits(&self.participants, participant)
            && fits(&self.document_types, document_type)
            && fits(&self.processes, process)
    }
}

fn fits(patterns: &[String], value: &str) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| matches(pattern, value))
}

/// Identifiers are compared without case here: a participant spelled differently is still the same (discovery.md 3.1).
pub(super) fn matches(pattern: &str, value: &str) -> bool {
    let (pattern, value) = (pattern.to_lowercase(), value.to_lowercase());
    match pattern.strip_suffix('*') {
        Some(prefix) => value.starts_with(prefix),
        None => pattern == value,
    }
}

/// The backends of a node, in the order of the configuration; the first that takes a message gets it.
pub struct ServesAll(pub Vec<(Admitted, Serves)>);

impl Admission for ServesAll {
    fn admit(
        &self,
        message: &UserMessage,
        pmode: &PMode,
        opening: Option<&Opening>,
    ) -> Result<Admitted, Refusal> {
        if pmode.profile.envelope == Envelope::Sbdh {
            envelope::examine(message, opening).map_err(|reason| Refusal {
                code: Code::Other,
                detail: Some(reason.clone()),
                reason,
            })?;
        }
        let recipient = message.corner(names::FINAL_RECIPIENT).unwrap_or_default();
        let service = message.service.to_string();
        let taken = self.0.iter().find(|(_, serves)| serves.takes(&recipient, &message.action, &service));
        taken.map(|(admitted, _)| admitted.clone()).ok_or_else(|| Refusal {
            code: Code::Other,
            detail: not_serviced(pmode),
            reason: format!(
                "no backend serves {recipient:?}, action {:?}, service {service:?}",
                message.action
            ),
        })
    }
}

fn not_serviced(pmode: &PMode) -> Option<String> {
    let peppol = pmode.profile.envelope == Envelope::Sbdh;
    let text = if peppol { "PEPPOL:NOT_SERVICED" } else { "The recipient is not served here." };
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_takes_all_and_a_star_takes_what_begins_so() {
        assert!(Serves::default().takes("a", "b", "c"));
        let serves =
            Serves { participants: vec!["iso6523-actorid-upis::0218:*".into()], ..Serves::default() };
        assert!(serves.takes("iso6523-actorid-upis::0218:90000069281", "x", "y"));
        assert!(serves.takes("ISO6523-actorid-upis::0218:1", "x", "y"));
        assert!(!serves.takes("iso6523-actorid-upis::0088:1", "x", "y"));
    }
}
