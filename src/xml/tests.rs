//! The room as a whole: parse, canonicalise and write, on generated documents and on the known hard cases.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

use super::*;

fn parse(text: &str) -> Document {
    Document::parse(text.as_bytes(), &Limits::default()).unwrap()
}

fn whole(text: &str, how: &C14n) -> String {
    let mut octets = Vec::new();
    canonicalize_document(&parse(text), how, None, &mut |piece| octets.extend_from_slice(piece));
    String::from_utf8(octets).unwrap()
}

fn part(text: &str, local: &str, how: &C14n) -> String {
    let document = parse(text);
    let element = document.root().descendants().find(|e| e.local() == local).unwrap();
    String::from_utf8(canonicalize_to_vec(element, how, None)).unwrap()
}

fn inclusive() -> C14n {
    C14n { mode: Mode::Inclusive10, comments: false, prefixes: Vec::new() }
}

fn streamed(octets: &[u8], step: usize) -> Result<Vec<u8>, Error> {
    let (mut stream, mut out) = (StreamC14n::new(), Vec::new());
    for chunk in octets.chunks(step) {
        stream.push(chunk, &mut |piece| out.extend_from_slice(piece))?;
    }
    stream.finish(&mut |piece| out.extend_from_slice(piece))?;
    Ok(out)
}

#[test]
fn limits_may_be_as_large_as_numbers_are() {
    let limits = Limits {
        max_octets: usize::MAX,
        max_depth: usize::MAX,
        max_nodes: usize::MAX,
        max_attributes: usize::MAX,
        max_namespaces: usize::MAX,
    };
    assert!(Document::parse(b"<a xmlns:b='urn:b' c='d'><b:e/>text</a>", &limits).is_ok());
}

#[test]
fn an_element_knows_its_names_values_and_place() {
    let document = parse(
        "<a xmlns='urn:d' xmlns:p='urn:p' p:x='1 &lt; 2'>one<p:b id=\"i\"/>two&amp;<![CDATA[<3]]><c xmlns=''/></a>",
    );
    let root = document.root();
    assert!(root.is("urn:d", "a") && root.prefix().is_empty() && root.parent().is_none());
    assert_eq!(root.attribute_ns("urn:p", "x"), Some("1 < 2"));
    assert_eq!(root.attribute("x"), None);
    assert_eq!(root.text(), "onetwo&<3");
    let names: Vec<_> = root.children().map(|e| (e.namespace(), e.local())).collect();
    assert_eq!(names, [("urn:p", "b"), ("", "c")]);
    let b = root.child("urn:p", "b").unwrap();
    assert_eq!(document.by_id("i"), [b.id()]);
    assert_eq!(b.parent(), Some(root));
    assert_eq!(&document.source()[b.source_range()], "<p:b id=\"i\"/>");
    assert_eq!(b.resolve_prefix(""), Some("urn:d"));
    assert_eq!(root.child("", "c").unwrap().resolve_prefix(""), None);
    assert!(root.contains(b.id()) && !b.contains(root.id()));
    assert_eq!(&document.source()[root.source_range()], document.source());
}

#[test]
fn ids_on_two_elements_are_seen_whatever_the_attribute() {
    let wsu = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
    let document = parse(&format!(
        "<r xmlns:w='{wsu}'><a w:Id='x' id='x'/><b Id='y'/><c ID='y'/><d w:ID='z'/><e xml:id='q'/><f AssertionID='q'/></r>"
    ));
    assert_eq!(document.duplicate_ids(), ["q", "y"]);
    assert_eq!(document.by_id("x").len(), 1, "twice on one element is one element");
    assert_eq!(document.by_id("y").len(), 2);
    assert!(document.by_id("z").is_empty());
}

#[test]
fn what_is_not_well_formed_is_refused() {
    for bad in [
        "",
        "x",
        "<a>",
        "</a>",
        "<a></b>",
        "<a/><b/>",
        "<a/>x",
        "<a b='1' b='2'/>",
        "<a b='1'c='2'/>",
        "<a b=1/>",
        "<a b/>",
        "<a b='<'/>",
        "<a b='&'/>",
        "<a>&</a>",
        "<a>&x;</a>",
        "<a>&#0;</a>",
        "<a>&#xD800;</a>",
        "<a>&#x;</a>",
        "<a>&#+5;</a>",
        "<a>\u{1}</a>",
        "<a>\u{FFFE}</a>",
        "<a>]]></a>",
        "<a><!-- -- --></a>",
        "<a><!-- ---></a>",
        "<a><!",
        "<a><?xml version='1.0'?></a>",
        " <?xml version='1.0'?><a/>",
        "<?xml version='1.0' encoding='UTF-16'?><a/>",
        "<?xml?><a/>",
        "<?p:q x?><a/>",
        "<!DOCTYPE a><a/>",
        "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>",
        "<a xmlns:p=''/>",
        "<p:a/>",
        "<a p:b='1'/>",
        "<a xmlns:xml='urn:x'/>",
        "<a xmlns:xmlns='urn:x'/>",
        "<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>",
        "<a xmlns:p='urn:x' xmlns:p='urn:y'/>",
        "<a xmlns:p='urn:x' xmlns:q='urn:x' p:b='' q:b=''/>",
        "<a:b:c xmlns:a='urn:x'/>",
        "<1a/>",
        "<a><![CDATA[x]]",
        "<![CDATA[x]]><a/>",
        "<a/>&amp;",
    ] {
        assert!(Document::parse(bad.as_bytes(), &Limits::default()).is_err(), "parsed: {bad}");
        for step in [1, 5, 1000] {
            assert!(streamed(bad.as_bytes(), step).is_err(), "streamed: {bad}");
        }
    }
}

#[test]
fn limits_hold() {
    let limits =
        Limits { max_octets: 200, max_depth: 3, max_nodes: 10, max_attributes: 2, max_namespaces: 3 };
    let refused = |text: &str| {
        matches!(Document::parse(text.as_bytes(), &limits), Err(Error::Limit { .. }))
            .then_some(())
            .expect(text)
    };
    refused(&" ".repeat(201));
    refused("<a><a><a><a/></a></a></a>");
    refused(&format!("<a>{}</a>", "<b/>".repeat(10)));
    refused("<a b='' c='' d=''/>");
    refused("<a xmlns='u' xmlns:b='u'><a xmlns='v' xmlns:b='v'/></a>");
    assert!(Document::parse(b"<a b='' c=''><a><a/></a></a>", &limits).is_ok());
}

#[test]
fn line_ends_and_white_space_are_normalised() {
    assert_eq!(
        whole("<a x='1\r\n2\t3&#10;4'>\r\n\r&#13;</a>", &C14n::exclusive()),
        "<a x=\"1 2 3&#xA;4\">\n\n&#xD;</a>"
    );
}

#[test]
fn a_byte_order_mark_within_text_is_kept() {
    let text = "<a>\u{FEFF}x</a>";
    assert_eq!(whole(text, &C14n::exclusive()), text);
    assert_eq!(streamed(text.as_bytes(), 1).unwrap(), text.as_bytes());
    assert!(streamed("<a/>\u{FEFF}".as_bytes(), 1).is_err());
}

#[test]
fn exclusive_writes_what_is_used_and_only_where_it_changes() {
    let text =
        "<a xmlns='urn:d' xmlns:p='urn:p' xmlns:q='urn:q'><p:b><p:c q:z='' y=''/><d xmlns=''/></p:b></a>";
    let exclusive = C14n::exclusive();
    assert_eq!(
        part(text, "b", &exclusive),
        "<p:b xmlns:p=\"urn:p\"><p:c xmlns:q=\"urn:q\" y=\"\" q:z=\"\"></p:c><d></d></p:b>"
    );
    assert_eq!(
        part(text, "b", &exclusive.with_prefix_list("q #default none")),
        "<p:b xmlns=\"urn:d\" xmlns:p=\"urn:p\" xmlns:q=\"urn:q\"><p:c y=\"\" q:z=\"\"></p:c><d xmlns=\"\"></d></p:b>"
    );
}

#[test]
fn inclusive_takes_ancestors_along() {
    let text = "<a xmlns='urn:d' xmlns:p='urn:p' xml:lang='lv' xml:id='i' xml:base='http://h/x/'><b xml:base='y/'><c xml:space='preserve' xml:base='z'/></b></a>";
    assert_eq!(
        part(text, "c", &inclusive()),
        "<c xmlns=\"urn:d\" xmlns:p=\"urn:p\" xml:base=\"z\" xml:id=\"i\" xml:lang=\"lv\" xml:space=\"preserve\"></c>"
    );
    assert_eq!(
        part(text, "c", &C14n { mode: Mode::Inclusive11, ..inclusive() }),
        "<c xmlns=\"urn:d\" xmlns:p=\"urn:p\" xml:base=\"http://h/x/y/z\" xml:lang=\"lv\" xml:space=\"preserve\"></c>"
    );
}

#[test]
fn a_subtree_can_be_left_out() {
    let document = parse("<a>1<b><c/></b>2</a>");
    let b = document.root().child("", "b").unwrap();
    let octets = canonicalize_to_vec(document.root(), &C14n::exclusive(), Some(b.id()));
    assert_eq!(octets, b"<a>12</a>");
}

#[test]
fn comments_stand_on_their_own_lines_beside_the_root() {
    let text = "<?x y?>\n<!--1-->\n<a><!--2--></a><!--3--><?z?>";
    let with = C14n { comments: true, ..C14n::exclusive() };
    assert_eq!(whole(text, &with), "<?x y?>\n<!--1-->\n<a><!--2--></a>\n<!--3-->\n<?z?>");
    assert_eq!(whole(text, &C14n::exclusive()), "<?x y?>\n<a></a>\n<?z?>");
}

#[test]
fn algorithm_uris_read_back() {
    for uri in [
        "http://www.w3.org/2001/10/xml-exc-c14n#",
        "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
        "http://www.w3.org/2006/12/xml-c14n11#WithComments",
    ] {
        assert_eq!(C14n::from_uri(uri).unwrap().uri(), uri);
    }
    assert_eq!(C14n::from_uri("http://www.w3.org/TR/1999/REC-xslt-19991116"), None);
}

#[test]
fn a_stream_needs_memory_for_a_tag_not_for_the_document() {
    let mut stream = StreamC14n::new();
    let mut given = 0;
    stream.push(b"<a>", &mut |piece| given += piece.len()).unwrap();
    for _ in 0..1000 {
        stream.push(&[b'x'; 4096], &mut |piece| given += piece.len()).unwrap();
    }
    assert!(given > 4_000_000, "text goes on at once: {given}");
    let huge = vec![b'x'; 9 << 20];
    let mut stream = StreamC14n::new();
    let result = stream.push(b"<a b='", &mut |_| {}).and_then(|()| stream.push(&huge, &mut |_| {}));
    assert!(matches!(result, Err(Error::Limit { .. })));
    assert!(stream.finish(&mut |_| {}).is_err());
}

/// Any document of the generator, as text in many spellings.
pub(crate) fn any_document() -> impl Strategy<Value = String> {
    any_element(4).prop_flat_map(|root| {
        ("(<\\?xml version=\"1.0\"\\?>)?", "(\r\n|<!--c-->|<\\?p d\\?>|)", "(<!-- e -->|)\n?")
            .prop_map(move |(start, before, after)| format!("{start}{before}{root}{after}"))
    })
}

fn any_element(depth: u32) -> BoxedStrategy<String> {
    let name = prop::sample::select(vec!["a", "b", "p:c", "q:d", "p:ž"]);
    let declarations = prop::sample::subsequence(
        vec![
            "xmlns='urn:d'",
            "xmlns=''",
            "xmlns:p='urn:p'",
            "xmlns:p='urn:q'",
            "xmlns:q=\"urn:q\"",
            "xmlns:r='urn:r'",
        ],
        0..4,
    );
    let attributes = prop::sample::subsequence(
        vec![
            "b='1'",
            "a = '&lt;\t&#9;\"'",
            "p:x='ā'",
            "r:y=\"'&#13;\r\n\"",
            "xml:lang='lv'",
            "xml:space='default'",
        ],
        0..5,
    );
    let content = prop::collection::vec(any_content(depth), 0..4);
    (name, declarations, attributes, content)
        .prop_map(|(name, declarations, attributes, content)| {
            let mut declarations = declarations;
            // one declaration of a prefix at most
            declarations.dedup_by_key(|d| d.split('=').next().unwrap().to_owned());
            let mut tag = format!("<{name}");
            for piece in declarations.iter().chain(&attributes) {
                tag = tag + " " + piece;
            }
            match content.is_empty() {
                true => tag + " />",
                false => format!("{tag}>{}</{name} >", content.concat()),
            }
        })
        .boxed()
}

fn any_content(depth: u32) -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        "[a-z ā🐝\r\n\t\"'>]{0,12}",
        "\\]{1,2}[a-z]",
        "<!\\[CDATA\\[[a-z<&> ]{0,6}\\]\\]>",
        "&(amp|lt|gt|quot|apos|#13|#x10FFFF|#10);",
        "<!--[a-z <>&]{0,6}-->",
        "<\\?p [a-z?]{0,3}z\\?>",
    ];
    match depth {
        0 => leaf.boxed(),
        _ => prop_oneof![2 => leaf, 1 => any_element(depth - 1)].boxed(),
    }
}

/// Wraps a generated document so that every prefix is bound.
fn bound(text: &str) -> String {
    format!("<w xmlns:p='urn:p' xmlns:q='urn:q' xmlns:r='urn:r2'>{}</w>", root_of(text))
}

/// The text without what stands beside the root.
fn root_of(text: &str) -> &str {
    let mut text = text;
    loop {
        text = text.trim_start();
        let end = match text.as_bytes() {
            [b'<', b'?', ..] => text.find("?>").unwrap() + 2,
            [b'<', b'!', ..] => text.find("-->").unwrap() + 3,
            _ => break,
        };
        text = &text[end..];
    }
    match text.rfind("<!-- e -->") {
        Some(at) if text[at..].trim_end() == "<!-- e -->" => &text[..at],
        _ => text,
    }
}

proptest! {
    #[test]
    fn canonical_form_is_stable(text in any_document()) {
        let text = bound(&text);
        for how in [C14n::exclusive(), inclusive(), C14n::exclusive().with_prefix_list("p r #default")] {
            let once = whole(&text, &how);
            prop_assert_eq!(&whole(&once, &how), &once);
        }
    }

    #[test]
    fn a_stream_gives_what_the_tree_gives(text in any_document(), step in 1usize..40) {
        for text in [bound(&text), text] {
            let Ok(document) = Document::parse(text.as_bytes(), &Limits::default()) else {
                prop_assert!(streamed(text.as_bytes(), step).is_err());
                continue;
            };
            let mut octets = Vec::new();
            canonicalize_document(&document, &C14n::exclusive(), None, &mut |p| octets.extend_from_slice(p));
            prop_assert_eq!(streamed(text.as_bytes(), step).unwrap(), octets);
        }
    }

    #[test]
    fn what_is_taken_for_canonical_is(text in any_document(), at in any::<prop::sample::Index>(), octet in 0x20u8..0x7f) {
        let exclusive = |text: &str| {
            let document = Document::parse(text.as_bytes(), &Limits::default()).unwrap();
            String::from_utf8(canonicalize_to_vec(document.root(), &C14n::exclusive(), None)).unwrap()
        };
        let once = exclusive(&bound(&text));
        let mut bent = once.clone().into_bytes();
        let at = at.index(bent.len());
        bent[at] = octet;
        let bent = String::from_utf8(bent).unwrap_or_default();
        for text in [bound(&text), once, bent] {
            if root_of_canonical(&text).is_some() {
                prop_assert_eq!(exclusive(&text), text);
            }
        }
    }

    #[test]
    fn any_octets_end_without_panic(octets in prop::collection::vec(any::<u8>(), 0..200), step in 1usize..30) {
        let _ = Document::parse(&octets, &Limits::default());
        let _ = streamed(&octets, step);
    }

    #[test]
    fn damaged_documents_end_without_panic(text in any_document(), at in any::<prop::sample::Index>(), octet in any::<u8>(), step in 1usize..30) {
        let mut octets = text.into_bytes();
        let at = at.index(octets.len());
        octets[at] = octet;
        let parsed = Document::parse(&octets, &Limits::default());
        prop_assert_eq!(parsed.is_ok(), streamed(&octets, step).is_ok());
    }

    #[test]
    fn what_is_written_reads_back(text in "[^\u{0}-\u{8}\u{B}\u{C}\u{E}-\u{1F}\u{FFFE}\u{FFFF}]{0,30}") {
        let mut xml = Writer::new();
        xml.start("p:a").attr("xmlns:p", "urn:x").attr("b", &text).start("c").text(&text);
        let written = xml.into_string();
        let document = parse(&written);
        prop_assert_eq!(document.root().attribute("b"), Some(text.as_str()));
        prop_assert_eq!(document.root().child("", "c").unwrap().text(), text);
    }
}

/// Documents compared with libxml2.
const COMPARED: usize = 4000;
/// Documents given to one process.
const BATCH: usize = 500;

#[test]
fn an_independent_implementation_agrees() {
    if std::process::Command::new("xmllint").arg("--version").output().is_err() {
        println!("skipped: xmllint (Debian package libxml2-utils) is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let texts: Vec<String> = (0..COMPARED)
        .map(|_| any_document().new_tree(&mut runner).unwrap().current())
        .map(|text| format!("<?p d?><!--c-->\n{}\n<!--e--><?q?>", bound(&text)))
        .filter(|text| Document::parse(text.as_bytes(), &Limits::default()).is_ok())
        .collect();
    assert!(texts.len() > COMPARED * 9 / 10, "too few of the generated documents are well-formed");
    let with_comments = |how: C14n| C14n { comments: true, ..how };
    for (flag, how) in [
        ("--c14n", with_comments(inclusive())),
        ("--c14n11", with_comments(C14n { mode: Mode::Inclusive11, ..inclusive() })),
        ("--exc-c14n", with_comments(C14n::exclusive())),
    ] {
        for batch in texts.chunks(BATCH) {
            let theirs = xmllint(flag, folder.path(), batch);
            let ours: String = batch.iter().map(|text| whole(text, &how)).collect();
            if theirs != ours {
                let odd = batch.iter().find(|text| {
                    xmllint(flag, folder.path(), std::slice::from_ref(text)) != whole(text, &how)
                });
                let odd = odd.expect("one of the batch differs");
                let theirs = xmllint(flag, folder.path(), std::slice::from_ref(odd));
                assert_eq!(whole(odd, &how), theirs, "{flag} of {odd}");
            }
        }
    }
}

fn xmllint(flag: &str, folder: &std::path::Path, texts: &[String]) -> String {
    let mut command = std::process::Command::new("xmllint");
    command.arg(flag);
    for (at, text) in texts.iter().enumerate() {
        let file = folder.join(format!("{at}.xml"));
        std::fs::write(&file, text).unwrap();
        command.arg(file);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
