//! An operator interface over a store on real files, for the tests of this room and of the console.

use std::path::Path;
use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusBuilder;

use super::Api;
use crate::store::tests::{inbound_message, open};

/// Over the store of `folder`, at noon.
pub(crate) async fn api(folder: &Path) -> Api {
    let metrics = Arc::new(PrometheusBuilder::new().build_recorder().handle());
    Api::new(open(folder).await, metrics)
}

/// Messages come, one after the other: `0@sender`, `1@sender` ...
pub(crate) async fn receive(api: &Api, count: usize) {
    for number in 0..count {
        api.store.accept(inbound_message(&api.store, &format!("{number}@sender"))).await.unwrap();
    }
}
