//! Stage 6: the receipt on the response.

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::header::{CONTENT_TYPE, HeaderValue};

use super::accept::Done;
use crate::{crash, soap};

/// A signed receipt, whose message is durable.
pub(super) struct Reply {
    receipt: Vec<u8>,
}

/// The receipt of a message that is stored, now or long ago.
pub(super) fn acknowledge(done: Done) -> Reply {
    Reply { receipt: done.receipt }
}

impl Reply {
    /// HTTP 200 with the receipt.
    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        crash::at(crash::Point::ReceiptReady);
        let mut response = Response::new(Full::new(Bytes::from(self.receipt)));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(soap::CONTENT_TYPE));
        response
    }
}
