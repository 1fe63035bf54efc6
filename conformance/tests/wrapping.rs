//! Signatures that cover something else than what is read: each is refused, and nothing is left behind.

use anyhow::{Result, ensure};
use conformance::as4::{
    self, ATTACHMENT, C14N, DS, Message, Part, Request, Sealed, body, body_with, envelope, of_element,
    of_part, reference, seal, security, security_around,
};
use conformance::ca::Purpose;
use conformance::probe::Probe;

/// The same header in the attacker's words: another recipient, same parts.
fn forged(message: &Message, id: &str) -> String {
    let other = Message { recipient: "iso6523-actorid-upis::0191:66666666".into(), ..message.clone() };
    other.messaging(id)
}

fn wrapped(inside: &str) -> String {
    format!("<x:Wrapper xmlns:x=\"urn:suite:unknown\">{inside}</x:Wrapper>")
}

/// One attack: its name, the request, the code, a word of the reason.
type Attack = (&'static str, Request, &'static str, &'static str);

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_signed_is_read() -> Result<()> {
    let probe = Probe::start().await?;
    for make in [moved, doubled, partial, changed, dressed_up] {
        for (case, request, code, word) in make(&probe)? {
            probe.refused(case, &request, code, word).await?;
        }
    }
    // The measure of all the attacks: the same message untouched is taken.
    let good = probe.send(&seal(&probe.message(), &probe.sender)?.request()).await?;
    ensure!(good.is_receipt() && good.is_signed(), "not taken: {}", good.body);
    Ok(())
}

fn sealed(probe: &Probe) -> Result<(Message, Sealed)> {
    let message = probe.message();
    let sealed = seal(&message, &probe.sender)?;
    Ok((message, sealed))
}

/// The signed header stands elsewhere, and a forged one in its place.
fn moved(probe: &Probe) -> Result<Vec<Attack>> {
    let (message, s) = sealed(probe)?;
    let evil = forged(&message, "evil");
    let same_id = forged(&message, "messaging");
    let relabelled = same_id.replace("wsu:Id=", "Id=");
    let aside = wrapped(&s.messaging);
    let object = format!("<ds:Object xmlns:ds=\"{DS}\">{}</ds:Object></ds:Signature>", s.messaging);
    let in_object = s.security.replace("</ds:Signature>", &object);
    let in_security = s.security.replace("</wsse:Security>", &format!("{}</wsse:Security>", s.messaging));
    let whole =
        envelope(&[&s.messaging], &s.body).split_once('\n').map(|(_, e)| e.to_owned()).unwrap_or_default();
    let request = |blocks: &[&str], body: &str| s.with_envelope(&envelope(blocks, body));
    let once = "not one of the things";
    Ok(vec![
        ("in an unknown header", request(&[&evil, &aside, &s.security], &s.body), "EBMS:0101", once),
        (
            "with the same id",
            request(&[&same_id, &aside, &s.security], &s.body),
            "EBMS:0009",
            "more than one element",
        ),
        (
            "with another kind of id",
            request(&[&relabelled, &aside, &s.security], &s.body),
            "EBMS:0009",
            "more than one",
        ),
        ("nothing in its place", request(&[&aside, &s.security], &s.body), "EBMS:0009", "0 Messaging"),
        ("in the signature", request(&[&evil, &in_object], &s.body), "EBMS:0101", once),
        ("in the Security header", request(&[&evil, &in_security], &s.body), "EBMS:0101", once),
        ("in the Body", request(&[&evil, &s.security], &body_with("new", &whole)), "EBMS:0101", once),
        (
            "the Body in a header",
            request(&[&s.messaging, &wrapped(&s.body), &s.security], &body("b2")),
            "EBMS:0101",
            once,
        ),
    ])
}

/// Two of what must be there once.
fn doubled(probe: &Probe) -> Result<Vec<Attack>> {
    let (message, s) = sealed(probe)?;
    let evil = forged(&message, "evil");
    let second = security_around("");
    let other_role = s.security.replacen("<wsse:Security ", "<wsse:Security role=\"urn:suite:next\" ", 1);
    let signature = s.security.split_once("<ds:Signature ").map(|(_, rest)| rest).unwrap_or_default();
    let signature = signature.replace("</wsse:Security>", "");
    let twice = s.security.replace("</wsse:Security>", &format!("<ds:Signature {signature}</wsse:Security>"));
    let more = |unit: &str| s.messaging.replace("</eb:Messaging>", &format!("{unit}</eb:Messaging>"));
    let request = |blocks: &[&str], body: &str| s.with_envelope(&envelope(blocks, body));
    let user = Message { id: "second@suite.example".into(), ..message.clone() }.user_message();
    Ok(vec![
        ("two Messaging", request(&[&s.messaging, &evil, &s.security], &s.body), "EBMS:0009", "2 Messaging"),
        (
            "two Messaging, forged first",
            request(&[&evil, &s.messaging, &s.security], &s.body),
            "EBMS:0009",
            "2 Messaging",
        ),
        ("two Security", request(&[&s.messaging, &s.security, &second], &s.body), "EBMS:0009", "2 Security"),
        (
            "Security for another role",
            request(&[&s.messaging, &other_role], &s.body),
            "EBMS:0103",
            "no Security",
        ),
        (
            "two Body",
            request(&[&s.messaging, &s.security], &(s.body.clone() + &body("b2"))),
            "EBMS:0009",
            "after the Body",
        ),
        (
            "two Body, forged first",
            request(&[&s.messaging, &s.security], &(body("b2") + &s.body)),
            "EBMS:0009",
            "after",
        ),
        ("two signatures", request(&[&s.messaging, &twice], &s.body), "EBMS:0009", "more than one Signature"),
        (
            "two user messages",
            request(&[&more(&user), &s.security], &s.body),
            "EBMS:0003",
            "more than one message unit",
        ),
    ])
}

/// Honest signatures that leave something out.
fn partial(probe: &Probe) -> Result<Vec<Attack>> {
    let message = probe.message();
    let (messaging, empty) = (message.messaging("messaging"), body("body"));
    let (m, b, p) =
        (of_element("messaging", &messaging), of_element("body", &empty), of_part(&message.parts[0]));
    let other = "<x:Other xmlns:x=\"urn:suite:unknown\" Id=\"other\"></x:Other>";
    let o = of_element("other", other);
    let whole = reference("", &[C14N], b"");
    let enveloped = reference("", &["http://www.w3.org/2000/09/xmldsig#enveloped-signature", C14N], b"");
    let xpath =
        reference("#messaging", &["http://www.w3.org/TR/1999/REC-xpath-19991116"], messaging.as_bytes());
    let extra = of_part(&Part::new("extra@suite", b"extra"));
    let plain_part = reference(&format!("cid:{}", message.parts[0].cid), &[C14N], &message.parts[0].octets);
    let request = |references: &[&String]| -> Result<Request> {
        let references: Vec<String> = references.iter().map(|r| (*r).clone()).collect();
        let security = security(&probe.sender, &references)?;
        Ok(Request::multipart(&envelope(&[&messaging, other, &security], &empty), &message.parts))
    };
    Ok(vec![
        ("without the header", request(&[&b, &p])?, "EBMS:0101", "does not cover the Messaging"),
        ("without the Body", request(&[&m, &p])?, "EBMS:0101", "does not cover the Body"),
        ("without the part", request(&[&m, &b])?, "EBMS:0101", "does not cover the part"),
        ("another element instead", request(&[&o, &b, &p])?, "EBMS:0101", "not one of the things"),
        ("another element besides", request(&[&m, &b, &o, &p])?, "EBMS:0101", "not one of the things"),
        ("the header twice", request(&[&m, &m, &p])?, "EBMS:0101", "signed once"),
        ("the part twice", request(&[&m, &b, &p, &p])?, "EBMS:0101", "signed twice"),
        ("the whole document", request(&[&m, &b, &p, &whole])?, "EBMS:0101", "no reference to an element"),
        ("an enveloped signature", request(&[&m, &b, &p, &enveloped])?, "EBMS:0103", "transforms"),
        ("by XPath", request(&[&xpath, &b, &p])?, "EBMS:0103", "not allowed"),
        ("the part by C14N", request(&[&m, &b, &plain_part])?, "EBMS:0103", ATTACHMENT_WORD),
        ("a part that is not named", request(&[&m, &b, &p, &extra])?, "EBMS:0101", "does not name"),
    ])
}

const ATTACHMENT_WORD: &str = "Transform";

/// Something was changed after signing.
fn changed(probe: &Probe) -> Result<Vec<Attack>> {
    let (message, s) = sealed(probe)?;
    let cid = &message.parts[0].cid;
    let mut two = message.clone();
    two.parts = vec![Part::new("one@suite", b"first content"), Part::new("two@suite", b"other content")];
    let pair = seal(&two, &probe.sender)?;
    let swapped = vec![
        Part { cid: "two@suite".into(), ..two.parts[0].clone() },
        Part { cid: "one@suite".into(), ..two.parts[1].clone() },
    ];
    let with = |messaging: &str, security: &str, parts: &[Part]| {
        Request::multipart(&envelope(&[messaging, security], &s.body), parts)
    };
    let recipient = s.messaging.replace("0191:10000001", "0191:66666666");
    let href = s.messaging.replace(cid, "other@suite");
    let renamed = vec![Part { cid: "other@suite".into(), ..message.parts[0].clone() }];
    let part = vec![Part::new(cid, b"other octets")];
    let value = s.security.replacen("<ds:SignatureValue>", "<ds:SignatureValue>AAAA", 1);
    let digest = s.security.replacen("<ds:DigestValue>", "<ds:DigestValue>AAAA", 1);
    let full =
        Request::multipart(&envelope(&[&s.messaging, &s.security], &body_with("body", "<a></a>")), &s.parts);
    Ok(vec![
        ("the recipient", with(&recipient, &s.security, &s.parts), "EBMS:0101", "digest of `#messaging`"),
        ("the href of a part", with(&href, &s.security, &renamed), "EBMS:0101", "digest of `#messaging`"),
        ("a part", with(&s.messaging, &s.security, &part), "EBMS:0101", "digest of a part"),
        (
            "the Content-IDs of two parts",
            with(&pair.messaging, &pair.security, &swapped),
            "EBMS:0101",
            "digest of a part",
        ),
        ("the Body", full, "EBMS:0101", "digest of `#body`"),
        ("SignatureValue", with(&s.messaging, &value, &s.parts), "EBMS:0101", "SignatureValue"),
        ("a digest", with(&s.messaging, &digest, &s.parts), "EBMS:0101", "SignatureValue"),
    ])
}

/// Other algorithms, other keys.
fn dressed_up(probe: &Probe) -> Result<Vec<Attack>> {
    let (_, s) = sealed(probe)?;
    let stranger = probe.world.ap_ca.issue("AP-STRANGER", 2048, Purpose::Message)?;
    let replaced = |from: &str, to: &str| {
        s.with_envelope(&envelope(&[&s.messaging, &s.security.replace(from, to)], &s.body))
    };
    let token = as4::token(&probe.sender, "X509-1")?;
    let other = as4::token(&stranger, "X509-1")?;
    let sha1 = "http://www.w3.org/2000/09/xmldsig#";
    Ok(vec![
        ("another's token", replaced(&token, &other), "EBMS:0101", "AP-STRANGER"),
        ("no token", replaced(&token, ""), "EBMS:0101", "no certificate"),
        ("by HMAC", replaced(as4::RSA_SHA256, &format!("{sha1}hmac-sha1")), "EBMS:0103", "SignatureMethod"),
        ("by SHA-1", replaced(as4::RSA_SHA256, &format!("{sha1}rsa-sha1")), "EBMS:0103", "SignatureMethod"),
        (
            "inclusive C14N",
            replaced(C14N, "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"),
            "EBMS:0103",
            "not allowed",
        ),
        ("other transform of the part", replaced(ATTACHMENT, C14N), "EBMS:0103", "not allowed"),
    ])
}
