//! Every way that the generator knows to show a signature one thing and a reader another. All of them must be refused.

use super::mutation::envelope_of;
use super::scan::first;
use crate::as4::Request;

/// Where the signed original goes.
const PLACES: [&str; 11] = [
    "in an unknown header in front",
    "in an unknown header behind",
    "in Security, first",
    "in Security, last",
    "in an Object of the Signature",
    "in KeyInfo",
    "in the Body",
    "behind the Body",
    "in the forged one",
    "five deep in an unknown header",
    "nowhere",
];
/// Which attribute the forged one has as its id; `=` stands for the original's value.
const LABELS: [&str; 8] =
    ["", "wsu:Id==", "Id==", "ID==", "id==", "xml:id==", "wsu:Id=evil", "AssertionID=="];
/// What is strewn into the forged one.
const DRESSES: [&str; 4] = ["", "<!-- c -->", "<?p i?>", "<x:y xmlns:x=\"urn:suite:x\"/>"];

/// A wrapped request, and how it was wrapped.
pub struct Wrapped {
    /// The request.
    pub request: Request,
    /// How.
    pub what: String,
}

/// All of them for one valid multipart request; `forge` makes the attacker's words of the original `eb:Messaging`.
pub fn wrapped(original: &Request, forge: &dyn Fn(&str) -> String) -> Vec<Wrapped> {
    let range = envelope_of(&original.body);
    let text = String::from_utf8_lossy(&original.body[range.clone()]).into_owned();
    let mut all = Vec::new();
    for target in ["Messaging", "Body"] {
        let Some(span) = first(&text, target) else { continue };
        let signed = text[span.whole.clone()].to_owned();
        let id = id_of(&signed);
        for place in PLACES {
            for label in LABELS {
                for dress in DRESSES {
                    let bare = match target {
                        "Messaging" => forge(&signed),
                        _ => signed.replacen("</", "<x:evil xmlns:x=\"urn:suite:x\"/></", 1),
                    };
                    let evil = dressed(&labelled(&bare, label, &id), dress);
                    let Some(changed) = put(&text, &signed, &evil, place) else { continue };
                    let body =
                        [&original.body[..range.start], changed.as_bytes(), &original.body[range.end..]]
                            .concat();
                    let what = format!("{target} {place}, the forged one with {label:?} and {dress:?}");
                    all.push(Wrapped { request: Request { body, ..original.clone() }, what });
                }
            }
        }
    }
    all
}

fn id_of(element: &str) -> String {
    let tag = &element[..element.find('>').unwrap_or(element.len())];
    let at = tag.find("wsu:Id=\"").map_or(0, |at| at + 8);
    tag[at..].split('"').next().unwrap_or_default().to_owned()
}

/// The element with another id attribute, or none.
fn labelled(element: &str, label: &str, id: &str) -> String {
    let without = element.replacen(&format!(" wsu:Id=\"{id}\""), "", 1);
    let Some((name, value)) = label.split_once('=') else { return without };
    let value = if value == "=" { id } else { value };
    let at = without.find([' ', '>']).unwrap_or(0);
    format!("{} {name}=\"{value}\"{}", &without[..at], &without[at..])
}

fn dressed(element: &str, dress: &str) -> String {
    let at = element.find('>').map_or(0, |at| at + 1);
    format!("{}{dress}{}", &element[..at], &element[at..])
}

fn put(text: &str, signed: &str, evil: &str, place: &str) -> Option<String> {
    let aside = |inside: &str| format!("<x:Wrapper xmlns:x=\"urn:suite:wrapper\">{inside}</x:Wrapper>");
    let forged = text.replacen(signed, evil, 1);
    let before = |tag: &str, what: &str| {
        let at = forged.find(tag)?;
        Some(format!("{}{what}{}", &forged[..at], &forged[at..]))
    };
    let behind_start = |local: &str, what: &str| {
        let at = first(&forged, local)?.start.end;
        Some(format!("{}{what}{}", &forged[..at], &forged[at..]))
    };
    match place {
        "in an unknown header in front" => behind_start("Header", &aside(signed)),
        "in an unknown header behind" => before("</env:Header>", &aside(signed)),
        "in Security, first" => behind_start("Security", signed),
        "in Security, last" => before("</wsse:Security>", signed),
        "in an Object of the Signature" => {
            before("</ds:Signature>", &format!("<ds:Object>{signed}</ds:Object>"))
        }
        "in KeyInfo" => {
            let info = before("</ds:KeyInfo></ds:Signature>", signed);
            info.or_else(|| before("</ds:KeyInfo>", signed))
        }
        "in the Body" => before("</env:Body>", &aside(signed)),
        "behind the Body" => before("</env:Envelope>", signed),
        "in the forged one" => {
            let end = evil.rfind("</")?;
            let nested = format!("{}{signed}{}", &evil[..end], &evil[end..]);
            Some(text.replacen(signed, &nested, 1))
        }
        "five deep in an unknown header" => {
            behind_start("Header", &(0..5).fold(signed.to_owned(), |inside, _| aside(&inside)))
        }
        _ => Some(forged),
    }
}
