//! Brings the network half and the business half together where they must not know each other.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::backend::{Office, testimony};
use crate::ebms::UserMessage;
use crate::msh::{Intake, NotNow, Testimony};
use crate::pmode::PMode;
use crate::store::Effect;

/// The office as the network half sees it.
pub(super) struct OfficeIntake(pub Arc<Office>);

impl Intake for OfficeIntake {
    fn is_evidence(&self, message: &UserMessage, pmode: &PMode) -> bool {
        testimony::is_evidence(message, pmode)
    }

    fn weigh<'a>(&'a self, testimony: Testimony<'a>) -> BoxFuture<'a, Result<Effect, NotNow>> {
        let Testimony { message, evidence, signer, party_signs, revoker, .. } = testimony;
        let party = testimony::Party { signer, signs: party_signs, revoker };
        async move {
            testimony::weigh(&self.0, message, &party, evidence).await.map_err(|postponed| match postponed {
                testimony::Postponed::Store(error) => NotNow::Store(error),
                testimony::Postponed::Untold(unusable) => NotNow::Untold(unusable),
            })
        }
        .boxed()
    }
}
