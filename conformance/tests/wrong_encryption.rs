//! Parts encrypted for somebody else, damaged, or in a way that nobody agreed to: refused by code, and nothing is left behind.

use anyhow::{Context, Result, ensure};
use conformance::as4::{Message, Part};
use conformance::ca::{Identity, Purpose};
use conformance::encryption::{AES128_GCM, Encrypted, RSA_OAEP, encrypt, encrypted_key, random, sealed};
use conformance::probe::Probe;
use openssl::pkey::PKey;
use openssl::x509::X509;

struct Scene {
    probe: Probe,
    /// The node's own certificate and key, as its key store has them.
    node: Identity,
    other: Identity,
}

impl Scene {
    async fn set() -> Result<Self> {
        let probe = Probe::start_encrypted().await?;
        let certificate = X509::from_pem(&std::fs::read(&probe.node.certificate)?)?;
        let store = std::fs::read(probe.world.root.join("node/key.p12"))?;
        let key = openssl::pkcs12::Pkcs12::from_der(&store)?.parse2("changeit")?.pkey.context("no key")?;
        let key = PKey::private_key_from_der(&key.private_key_to_der()?)?;
        let other = probe.world.ap_ca.issue("AP-OTHER", 2048, Purpose::Message)?;
        Ok(Self { probe, node: Identity { certificate, key }, other })
    }

    fn good(&self) -> Result<Encrypted> {
        encrypt(&self.probe.message(), &self.probe.sender, &self.node)
    }

    fn bent(&self, how: impl FnOnce(&mut Encrypted)) -> Result<Encrypted> {
        let mut message = self.good()?;
        how(&mut message);
        Ok(message)
    }

    async fn refused(&self, case: &str, message: &Encrypted, code: &str) -> Result<()> {
        self.probe.refused(case, &message.request(), code, "").await.map(drop)
    }
}

/// Whatever fails in decryption, the peer reads the same words (as4-wire 6: no oracle).
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_decrypted_is_refused_in_the_same_words() -> Result<()> {
    let scene = Scene::set().await?;
    let for_other = encrypt(&scene.probe.message(), &scene.probe.sender, &scene.other)?;
    let ours = scene.node.certificate.public_key()?;
    let theirs = scene.other.certificate.public_key()?;
    let info = |message: &Encrypted| {
        let key = &message.keys[0];
        let from = key.find("<wsse:SecurityTokenReference>").unwrap_or_default();
        let to = key.find("</ds:KeyInfo>").unwrap_or_default();
        key[from..to].to_owned()
    };
    let reference = info(&for_other);
    let rewrapped = |key: String| scene.bent(|m| m.keys = vec![key]);
    let octets = |how: fn(&mut Vec<u8>)| scene.bent(|m| how(&mut m.parts[0].octets));
    let cases = [
        ("encrypted for somebody else", for_other),
        (
            "wrapped for somebody else in our name",
            rewrapped(encrypted_key("EK-1", &theirs, &reference, &random::<16>()?)?)?,
        ),
        ("another content key", rewrapped(encrypted_key("EK-1", &ours, &reference, &random::<16>()?)?)?),
        (
            "a content key of the wrong length",
            rewrapped(encrypted_key("EK-1", &ours, &reference, &random::<32>()?)?)?,
        ),
        ("a content key of no octets", rewrapped(encrypted_key("EK-1", &ours, &reference, &[])?)?),
        ("a damaged tag", octets(|o| *o.last_mut().unwrap_or(&mut 0) ^= 1)?),
        ("a damaged nonce", octets(|o| o[0] ^= 1)?),
        ("damaged ciphertext", octets(|o| o[12] ^= 0x80)?),
        ("ciphertext cut short", octets(|o| o.truncate(o.len() - 1))?),
        ("no tag", octets(|o| o.truncate(15))?),
        ("no octets", octets(Vec::clear)?),
        ("more octets than encrypted", octets(|o| o.push(0))?),
    ];
    let mut words = Vec::new();
    for (case, message) in &cases {
        let reply = scene.probe.refused(case, &message.request(), "EBMS:0102", "cannot be decrypted").await?;
        ensure!(reply.is_signed(), "{case}: the error is not signed");
        let from = reply.body.find("<eb:Error ").with_context(|| reply.body.clone())?;
        let said = &reply.body[from..reply.body.find("</eb:Error>").with_context(|| reply.body.clone())?];
        let said: String = said.split(' ').filter(|word| !word.starts_with("refToMessageInError")).collect();
        words.push(said);
    }
    ensure!(words.windows(2).all(|pair| pair[0] == pair[1]), "failures can be told apart: {words:#?}");
    Ok(())
}

/// A key that cannot be unwrapped costs as much as one that is wrong: the parts are read and decrypted all the same.
#[tokio::test(flavor = "multi_thread")]
async fn failures_of_the_key_and_of_the_parts_take_the_same_time() -> Result<()> {
    let scene = Scene::set().await?;
    let mut message = scene.probe.message();
    message.parts = vec![Part::new("large@suite", &vec![7; 8 << 20])];
    let theirs = scene.other.certificate.public_key()?;
    let (mut unwrapped, mut tag) = (Vec::new(), Vec::new());
    for turn in 0..30 {
        let mut message = encrypt(&message_again(&message), &scene.probe.sender, &scene.node)?;
        let times = if turn % 2 == 0 {
            // Wrapped for another key in our name: OAEP does not hold.
            let key = &message.keys[0];
            let from = key.find("<wsse:").context("no token")?;
            let info = key[from..key.find("</ds:KeyInfo>").context("no end")?].to_owned();
            message.keys = vec![encrypted_key("EK-1", &theirs, &info, &random::<16>()?)?];
            &mut unwrapped
        } else {
            *message.parts[0].octets.last_mut().context("empty")? ^= 1;
            &mut tag
        };
        let request = message.request();
        let begun = std::time::Instant::now();
        let reply = scene.probe.send(&request).await?;
        times.push(begun.elapsed());
        ensure!(reply.codes() == ["EBMS:0102"], "{}", reply.body);
    }
    unwrapped.sort();
    tag.sort();
    let (unwrapped, tag) = (unwrapped[unwrapped.len() / 2], tag[tag.len() / 2]);
    println!("median of OAEP failures {unwrapped:?}, of GCM failures {tag:?}");
    let ratio = unwrapped.as_secs_f64() / tag.as_secs_f64();
    ensure!((0.75..1.33).contains(&ratio), "OAEP failures take {unwrapped:?}, GCM failures {tag:?}");
    Ok(())
}

/// The same parts under a MessageId of their own.
fn message_again(message: &Message) -> Message {
    Message { id: format!("{}@suite.example", uuid::Uuid::new_v4()), ..message.clone() }
}

#[tokio::test(flavor = "multi_thread")]
async fn encryption_that_cannot_be_taken_apart_in_one_way_is_refused() -> Result<()> {
    let scene = Scene::set().await?;
    let elsewhere = |uri: &str| {
        let cid = |m: &Encrypted| format!("cid:{}", m.parts[0].cid);
        scene.bent(|m| m.data[0] = m.data[0].replace(&cid(m), uri))
    };
    let cases = [
        ("two EncryptedKeys", scene.bent(|m| m.keys.push(m.keys[0].replace("EK-1", "EK-2")))?, "EBMS:0009"),
        ("EncryptedData without a key", scene.bent(|m| m.keys.clear())?, "EBMS:0009"),
        (
            "a part encrypted twice",
            scene.bent(|m| m.data.push(m.data[0].replace("ED-0", "ED-9")))?,
            "EBMS:0101",
        ),
        ("ciphertext elsewhere", elsewhere("https://suite.example/part")?, "EBMS:0009"),
        ("ciphertext in the envelope", elsewhere("#messaging")?, "EBMS:0009"),
        ("ciphertext of a part that is not named", elsewhere("cid:nobody@suite")?, "EBMS:0101"),
        (
            "another transform",
            scene.bent(|m| m.data[0] = m.data[0].replace("Attachment-Ciphertext-Transform", "Nothing"))?,
            "EBMS:0009",
        ),
    ];
    for (case, message, code) in &cases {
        scene.refused(case, message, code).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn encryption_that_nobody_agreed_to_is_refused() -> Result<()> {
    let scene = Scene::set().await?;
    let content = |algorithm: &str| scene.bent(|m| m.data[0] = m.data[0].replace(AES128_GCM, algorithm));
    let wrapping = |algorithm: &str| scene.bent(|m| m.keys[0] = m.keys[0].replace(RSA_OAEP, algorithm));
    let mut clear = scene.good()?;
    let message = scene.probe.message();
    clear.parts = vec![Part { cid: clear.parts[0].cid.clone(), ..message.parts[0].clone() }];
    (clear.keys, clear.data) = (Vec::new(), Vec::new());
    let cases = [
        ("a part in the clear", clear),
        ("CBC", content("http://www.w3.org/2001/04/xmlenc#aes128-cbc")?),
        ("triple DES", content("http://www.w3.org/2001/04/xmlenc#tripledes-cbc")?),
        ("an unknown cipher", content("urn:suite:cipher")?),
        ("RSA 1.5", wrapping("http://www.w3.org/2001/04/xmlenc#rsa-1_5")?),
        ("an unknown way to wrap", wrapping("urn:suite:wrap")?),
        ("MGF1 with SHA-1", scene.bent(|m| m.keys[0] = m.keys[0].replace("mgf1sha256", "mgf1sha1"))?),
    ];
    for (case, message) in &cases {
        scene.refused(case, message, "EBMS:0103").await?;
    }
    Ok(())
}

/// The tag holds, but the octets are not the ones that were signed.
#[tokio::test(flavor = "multi_thread")]
async fn other_octets_than_signed_are_refused_and_the_right_ones_taken() -> Result<()> {
    let scene = Scene::set().await?;
    let mut swapped = scene.good()?;
    let content_key = random::<16>()?;
    let cid = swapped.parts[0].cid.clone();
    swapped.parts = vec![sealed(&Part::new(&cid, b"other octets"), &content_key)?];
    let key = &swapped.keys[0];
    let info = &key[key.find("<wsse:").context("no token")?..key.find("</ds:KeyInfo>").context("no end")?];
    swapped.keys = vec![encrypted_key("EK-1", &*scene.node.certificate.public_key()?, info, &content_key)?];
    scene.probe.refused("other octets", &swapped.request(), "EBMS:0101", "digest").await?;
    let timed = |created: &str, expires: &str| {
        scene.bent(|m| {
            m.tokens += &format!(
                "<wsu:Timestamp wsu:Id=\"TS-1\"><wsu:Created>{created}</wsu:Created><wsu:Expires>{expires}</wsu:Expires></wsu:Timestamp>"
            );
        })
    };
    let past = timed("2020-01-01T00:00:00Z", "2020-01-01T00:05:00Z")?;
    scene.probe.refused("a Timestamp of long ago", &past.request(), "EBMS:0101", "expired").await?;
    let future = timed("2120-01-01T00:00:00Z", "2120-01-01T00:05:00Z")?;
    scene.probe.refused("a Timestamp to come", &future.request(), "EBMS:0101", "yet to come").await?;
    let nonsense = timed("yesterday", "2120-01-01T00:05:00Z")?;
    scene.probe.refused("a Timestamp that is none", &nonsense.request(), "EBMS:0101", "no time").await?;
    let taken = scene.probe.send(&scene.good()?.request()).await?;
    ensure!(taken.is_receipt(), "the good one was not taken: {}", taken.body);
    let taken = scene.probe.send(&timed("2020-01-01T00:00:00Z", "2120-01-01T00:05:00Z")?.request()).await?;
    ensure!(taken.is_receipt(), "a Timestamp that holds was not taken: {}", taken.body);
    Ok(())
}
