//! The OpenAPI description, made from the code so that it cannot drift.

use utoipa::OpenApi;

use super::{deliver, error, events, national, status, submit};
use crate::backend::document;

/// The backend interface.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "tilts backend interface",
        description = "Submit messages, receive messages, follow statuses."
    ),
    paths(
        submit::submit,
        status::find,
        status::submission,
        status::recipient,
        deliver::list,
        deliver::message,
        deliver::part,
        deliver::acknowledge,
        events::events,
        national::submit
    ),
    components(schemas(
        document::Document,
        document::RecipientDocument,
        document::PropertyDocument,
        document::PartDocument,
        document::SbdhDocument,
        submit::Answer,
        deliver::Acknowledgement,
        deliver::Word,
        error::Problem
    ))
)]
pub struct Api;
