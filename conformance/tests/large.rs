//! Memory does not grow with payload size (promise 6), and a payload is stored once for all recipients.

use conformance::large::{Content, Large};
use conformance::node::tilts_binary;
use conformance::s3::S3;

const SIZE: u64 = 256 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_larger_than_memory_crosses_in_bounded_memory() {
    let folder = tempfile::tempdir().unwrap();
    let mut large = Large::set_up(&folder.path().join("world"), &tilts_binary().unwrap(), 1).await.unwrap();
    for content in [Content::Noise, Content::Zeros] {
        let figures = large.transfer(content, SIZE, 1).await.unwrap();
        let (latvia, a) = large.memory().unwrap();
        println!("{content:?}: {figures:?}; peak memory {} MB at Latvia, {} MB at A", latvia >> 20, a >> 20);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_payload_to_many_recipients_is_stored_once() {
    let octets = 20 << 20;
    let folder = tempfile::tempdir().unwrap();
    let mut large = Large::set_up(&folder.path().join("world"), &tilts_binary().unwrap(), 20).await.unwrap();
    let figures = large.transfer(Content::Noise, octets, 20).await.unwrap();
    let stored = large.stored().unwrap();
    let (latvia, a) = large.memory().unwrap();
    println!("20 recipients: {figures:?}; peak memory {} MB at Latvia, {} MB at A", latvia >> 20, a >> 20);
    assert_eq!(stored, octets, "one file of the payload's size");
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_does_it_grow_when_payloads_lie_in_a_bucket() {
    let folder = tempfile::tempdir().unwrap();
    let bucket = S3::start(&folder.path().join("s3"), None).unwrap();
    let root = folder.path().join("world");
    let mut large = Large::in_a_bucket(&root, &tilts_binary().unwrap(), 1, bucket).await.unwrap();
    let figures = large.transfer(Content::Noise, SIZE, 1).await.unwrap();
    let (latvia, a) = large.memory().unwrap();
    println!("in a bucket: {figures:?}; peak memory {} MB at Latvia, {} MB at A", latvia >> 20, a >> 20);
    assert_eq!(large.stored().unwrap(), SIZE);
}
