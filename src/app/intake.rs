//! Brings the network half and the business half together where they must not know each other.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::backend::{Office, testimony};
use crate::ebms::UserMessage;
use crate::msh::{Intake, Testimony};
use crate::pmode::PMode;
use crate::store::{Effect, Error};

/// The office as the network half sees it.
pub(super) struct OfficeIntake(pub Arc<Office>);

impl Intake for OfficeIntake {
    fn is_evidence(&self, message: &UserMessage, pmode: &PMode) -> bool {
        testimony::is_evidence(message, pmode)
    }

    fn weigh<'a>(&'a self, testimony: Testimony<'a>) -> BoxFuture<'a, Result<Effect, Error>> {
        let Testimony { message, evidence, signer, party_signs, .. } = testimony;
        testimony::weigh(&self.0, message, (signer, party_signs), evidence).boxed()
    }
}
