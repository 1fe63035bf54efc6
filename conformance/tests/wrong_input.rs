//! Requests that are no proper AS4 message: each gets its own answer, and nothing is left behind.

use std::io::Write;

use anyhow::{Context, Result, ensure};
use conformance::as4::{Message, Part, Request, body, envelope, of_element, of_part, seal, security};
use conformance::ca::{Authority, Purpose, Validity};
use conformance::probe::Probe;
use conformance::wire;
use conformance::world::party_id;
use flate2::Compression;
use flate2::write::GzEncoder;

const SOAP: &str = "application/soap+xml; charset=UTF-8";

#[tokio::test(flavor = "multi_thread")]
async fn http_that_carries_no_message_is_answered_by_its_status() -> Result<()> {
    let probe = Probe::start().await?;
    let good = seal(&probe.message(), &probe.sender)?.request();
    let content_type = |kind: &str| Request::post(kind, good.body.clone());
    let get = Request { method: "GET".into(), ..Request::post("", "") };
    let reply = probe.turned_away("a GET", &get, 405, "POST").await?;
    ensure!(reply.header("allow") == Some("POST"), "Allow is {:?}", reply.header("allow"));
    probe.turned_away("no Content-Type", &content_type(""), 400, "Content-Type").await?;
    probe.turned_away("a broken Content-Type", &content_type("nonsense"), 400, "nonsense").await?;
    probe.turned_away("text/xml", &content_type("text/xml"), 415, "text/xml").await?;
    let root = good.headers[0].1.replace("application/soap+xml", "text/xml");
    probe.turned_away("text/xml as root", &content_type(&root), 415, "text/xml").await?;
    let elsewhere = Request { path: "/elsewhere".into(), ..good.clone() };
    probe.turned_away("another path", &elsewhere, 404, "/as4").await?;
    let big = Request::post(SOAP, vec![b' '; 2 << 20]);
    probe.turned_away("an endless envelope", &big, 413, "too large").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_envelope_is_refused_by_code() -> Result<()> {
    let probe = Probe::start().await?;
    let sealed = seal(&probe.message(), &probe.sender)?;
    let good = sealed.envelope();
    let xml = |text: &str| sealed.with_envelope(text);
    let dtd = good.replacen('\n', "\n<!DOCTYPE a [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>\n", 1);
    let eleven =
        good.replace("http://www.w3.org/2003/05/soap-envelope", "http://schemas.xmlsoap.org/soap/envelope/");
    let blocks = [
        "<x:Must xmlns:x=\"urn:suite\" env:mustUnderstand=\"true\"></x:Must>",
        &sealed.messaging,
        &sealed.security,
    ];
    let deep = format!("{}{}", "<a>".repeat(200), "</a>".repeat(200));
    let many = (0..300).map(|n| format!(" a{n}=\"\"")).collect::<String>();
    let in_header = |text: &str| xml(&envelope(&[text, &sealed.messaging, &sealed.security], &sealed.body));
    let cases = [
        ("a DTD", xml(&dtd), "DOCTYPE"),
        ("a DTD without MIME", Request::post(SOAP, dtd.clone()), "DOCTYPE"),
        ("an empty body", Request::post(SOAP, ""), ""),
        ("no XML", Request::post(SOAP, "hello"), ""),
        ("half an envelope", Request::post(SOAP, &good.as_bytes()[..good.len() / 2]), ""),
        ("SOAP 1.1 under the type of 1.2", xml(&eleven), "SOAP 1.1"),
        ("no SOAP", Request::post(SOAP, "<a/>"), "not a SOAP Envelope"),
        ("no header", Request::post(SOAP, envelope(&[], &sealed.body)), "0 Messaging"),
        ("a block that must be understood", xml(&envelope(&blocks, &sealed.body)), "Must"),
        ("deep nesting", in_header(&deep), ""),
        ("countless attributes", in_header(&format!("<a{many}></a>")), ""),
        (
            "no MessageId",
            xml(&good.replace("<eb:MessageId>", "<eb:Id>").replace("</eb:MessageId>", "</eb:Id>")),
            "MessageId",
        ),
    ];
    for (case, request, word) in cases {
        probe.refused(case, &request, "EBMS:0009", word).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_and_header_must_fit_together() -> Result<()> {
    let probe = Probe::start().await?;
    let message = probe.message();
    let sealed = seal(&message, &probe.sender)?;
    let good = sealed.request();
    let part = message.parts[0].clone();
    let with = |parts: &[Part]| Request::multipart(&sealed.envelope(), parts);
    let like_root = Message { parts: vec![Part::new("root@suite", b"which one?")], ..probe.message() };
    let extra = |cid: &str| with(&[part.clone(), Part::new(cid, b"stowaway")]);
    let body_part = sealed.envelope().replace(&format!("cid:{}", part.cid), "#body");
    let far = sealed.envelope().replace(&format!("cid:{}", part.cid), "https://suite.example/part");
    let cut =
        |octets: usize| Request { body: good.body[..good.body.len() - octets].to_vec(), ..good.clone() };
    let cases = [
        ("an unreferenced part", extra("stowaway@suite"), "EBMS:0011", "stowaway@suite"),
        (
            "an unreferenced part in front",
            with(&[Part::new("stowaway@suite", b"x"), part.clone()]),
            "EBMS:0011",
            "stowaway",
        ),
        ("a part without Content-ID", extra(""), "EBMS:0011", "not named"),
        ("no parts at all", with(&[]), "EBMS:0011", "did not come"),
        ("no MIME at all", Request::post(SOAP, sealed.envelope()), "EBMS:0011", "no parts"),
        ("a payload in the Body", sealed.with_envelope(&body_part), "EBMS:0011", "#body"),
        ("a payload elsewhere", sealed.with_envelope(&far), "EBMS:0011", "suite.example"),
        ("one Content-ID twice", with(&[part.clone(), part.clone()]), "EBMS:0007", &part.cid),
        ("the Content-ID of the envelope again", extra("root@suite"), "EBMS:0007", "root@suite"),
        ("the same, named and signed", seal(&like_root, &probe.sender)?.request(), "EBMS:0007", "root@suite"),
        ("no closing boundary", cut(32), "EBMS:0007", ""),
        ("the end of a part is missing", cut(60), "EBMS:0007", ""),
        ("only the envelope's beginning", cut(good.body.len() - 300), "EBMS:0007", "envelope"),
        ("an empty multipart", Request { body: Vec::new(), ..good.clone() }, "EBMS:0007", "envelope"),
        ("no boundary in the body", Request { body: b"hello".to_vec(), ..good.clone() }, "EBMS:0007", ""),
    ];
    for (case, request, code, word) in cases {
        probe.refused(case, &request, code, word).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_breaks_off_leaves_nothing_and_may_come_again() -> Result<()> {
    let probe = Probe::start().await?;
    let message = Message { parts: vec![Part::new("big@suite", &vec![7; 400_000])], ..probe.message() };
    let request = seal(&message, &probe.sender)?.request();
    let octets = request.octets("localhost");
    for part in [10, 2, 1] {
        let sent = octets[..octets.len() - octets.len() / part / 2].to_vec();
        let answer = wire::send_and_break_off(probe.node.node.ports.as4, sent).await?;
        let text = String::from_utf8_lossy(&answer).into_owned();
        ensure!(text.starts_with("HTTP/1.1 408"), "answered {text}");
        // A network that fails is no fault of the message: an error that ends it would be a false status at its sender.
        ensure!(text.contains("EBMS:0202") && text.contains("SignatureValue"), "answered {text}");
        probe.nothing_left().await?;
    }
    let whole = probe.send(&request).await?;
    ensure!(whole.is_receipt(), "the whole message was not taken: {}", whole.body);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn compression_is_what_the_header_says() -> Result<()> {
    let probe = Probe::start().await?;
    let small = gzip(b"small", 1)?;
    let trailing = [&small[..], b"more"].concat();
    let cases = [
        ("a bomb", gzip(&vec![0; 1 << 20], 200)?, ""),
        ("no gzip", b"not compressed".to_vec(), ""),
        ("a gzip cut short", small[..small.len() - 6].to_vec(), ""),
        ("something behind the gzip", trailing, ""),
        ("two gzip members", [&small[..], &small[..]].concat(), ""),
        ("nothing", Vec::new(), ""),
    ];
    for (case, octets, word) in cases {
        let parts = vec![Part::compressed("gzip@suite", octets)];
        let message = Message { parts, ..probe.message() };
        probe.refused(case, &seal(&message, &probe.sender)?.request(), "EBMS:0303", word).await?;
    }
    Ok(())
}

fn gzip(octets: &[u8], times: usize) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..times {
        encoder.write_all(octets)?;
    }
    encoder.finish().context("gzip")
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_party_itself_may_sign() -> Result<()> {
    let probe = Probe::start().await?;
    let message = probe.message();
    let stranger_ca = Authority::new("strangers")?;
    let name = party_id("peer");
    let past = Validity { from: -30, to: -1 };
    let future = Validity { from: 1, to: 30 };
    let issue = |valid| probe.world.ap_ca.issue_for(&name, 2048, Purpose::Message, valid);
    let cases = [
        (
            "another party's certificate",
            probe.world.ap_ca.issue("AP-OTHER", 2048, Purpose::Message)?,
            "AP-OTHER",
        ),
        ("an untrusted certificate", stranger_ca.issue(&name, 2048, Purpose::Message)?, "untrusted"),
        ("an expired certificate", issue(past)?, "expired"),
        ("a certificate of tomorrow", issue(future)?, "not-yet-valid"),
    ];
    for (case, signer, word) in cases {
        let reply = probe.refused(case, &seal(&message, &signer)?.request(), "EBMS:0101", word).await?;
        ensure!(reply.is_signed(), "{case}: the error is not signed");
    }
    let unsigned = Request::multipart(&envelope(&[&message.messaging("m")], &body("b")), &message.parts);
    probe.refused("no Security header", &unsigned, "EBMS:0103", "Security").await?;
    let empty = conformance::as4::security_around("");
    let unsigned =
        Request::multipart(&envelope(&[&message.messaging("m"), &empty], &body("b")), &message.parts);
    probe.refused("no signature", &unsigned, "EBMS:0103", "not signed").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_agreed_to_is_refused() -> Result<()> {
    let probe = Probe::start().await?;
    let change = |how: &dyn Fn(&mut Message)| -> Result<Request> {
        let mut message = probe.message();
        how(&mut message);
        Ok(seal(&message, &probe.sender)?.request())
    };
    let mut of_stranger = seal(&probe.message(), &probe.sender)?;
    of_stranger.messaging = of_stranger.messaging.replacen("tilts-demo", "nobody", 1);
    let cases = [
        ("a partner of another kind", of_stranger.request(), "agreement"),
        ("a message for somebody else", change(&|m| m.to = "AP-ELSEWHERE".into())?, "AP-ELSEWHERE"),
    ];
    for (case, request, word) in cases {
        let reply = probe.refused(case, &request, "EBMS:0010", word).await?;
        ensure!(!reply.is_signed(), "{case}: a stranger's error is signed");
    }
    let untyped = seal(&probe.message(), &probe.sender)?;
    let untyped = untyped.envelope().replacen(" type=\"bdx-procid-transport\"", "", 1);
    let untyped = untyped.replacen("bdx:noprocess", "noprocess", 1);
    let request = Request::multipart(&untyped, &probe.message().parts);
    probe.refused("a service that is neither typed nor a URI", &request, "EBMS:0003", "Service").await?;
    Ok(())
}

/// The header is read before the parts, so the refusal must reach a sender that is still writing.
#[tokio::test(flavor = "multi_thread")]
async fn an_early_refusal_reaches_a_sender_that_still_writes() -> Result<()> {
    let probe = Probe::start().await?;
    let parts = vec![Part::new("big@suite", &vec![7; 20_000_000])];
    let message = Message { parts, to: "AP-ELSEWHERE".into(), ..probe.message() };
    let (messaging, empty) = (message.messaging("messaging"), body("body"));
    let references =
        [of_element("messaging", &messaging), of_element("body", &empty), of_part(&message.parts[0])];
    let security = security(&probe.sender, &references)?;
    let request = Request::multipart(&envelope(&[&messaging, &security], &empty), &message.parts);
    probe.refused("early", &request, "EBMS:0010", "AP-ELSEWHERE").await?;
    Ok(())
}
