//! Read models: what an operator sees, as JSON here and as pages in the console.

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;

use super::page::{Asked, DeliveryPage, Few, MessagePage, Page, before, given, one_of, rows};
use super::{Api, Problem};
use crate::status::State as Standing;
use crate::store::{
    DeliveryState, DeliveryView, Direction, MessageState, MessageView, NoticeRow, RecipientId, RecipientView,
    RejectedRow, StoredEvidence, StrayEvidence, SubmissionView,
};

/// One submission with everything behind its statuses.
#[derive(Debug, Serialize)]
pub struct SubmissionDetail {
    /// The submission.
    pub submission: SubmissionView,
    /// Its recipients in order.
    pub recipients: Vec<RecipientDetail>,
}

/// One recipient with its timeline.
#[derive(Debug, Serialize)]
pub struct RecipientDetail {
    /// The recipient with its record.
    pub recipient: RecipientView,
    /// The messages sent for it, with lookup steps and attempts.
    pub messages: Vec<MessageView>,
    /// Its evidence, in order of arrival.
    pub evidence: Vec<StoredEvidence>,
}

impl Api {
    /// A page of submissions, newest first.
    ///
    /// # Errors
    /// [`Problem`] for a bad id or state, or when the store does not answer.
    pub async fn page(&self, page: &Page) -> Result<Vec<SubmissionView>, Problem> {
        let state = one_of("state", page.state.as_deref(), Standing::ALL)?;
        let (channel, before) = (given(page.channel.as_deref()), before(page.before.as_deref())?);
        Ok(self.store.submissions(channel, state, before, rows(page.limit)).await?)
    }

    /// One submission whole.
    ///
    /// # Errors
    /// [`Problem`].
    pub async fn detail(&self, text: &str) -> Result<SubmissionDetail, Problem> {
        let submission = self.store.submission(id(text)?).await?;
        let mut recipients = Vec::with_capacity(submission.recipients.len());
        for recipient in submission.recipients.clone() {
            recipients.push(self.recipient_detail(recipient).await?);
        }
        Ok(SubmissionDetail { submission, recipients })
    }

    async fn recipient_detail(&self, recipient: RecipientView) -> Result<RecipientDetail, Problem> {
        let messages = self.store.messages_of(recipient.id).await?;
        let evidence = self.store.evidence(recipient.id).await?;
        Ok(RecipientDetail { recipient, messages, evidence })
    }

    /// A page of messages of both directions, newest first.
    ///
    /// # Errors
    /// [`Problem`] for a bad id, state or direction, or when the store does not answer.
    pub async fn messages(&self, page: &MessagePage) -> Result<Vec<MessageView>, Problem> {
        let direction = one_of("direction", page.direction.as_deref(), Direction::ALL)?;
        let state = one_of("state", page.state.as_deref(), MessageState::ALL)?;
        let before = before(page.before.as_deref())?;
        Ok(self.store.messages((direction, state), before, rows(page.limit)).await?)
    }

    /// A page of what is at the backends' disposal or was, newest first.
    ///
    /// # Errors
    /// [`Problem`] for a bad id or state, or when the store does not answer.
    pub async fn received(&self, page: &DeliveryPage) -> Result<Vec<DeliveryView>, Problem> {
        let state = one_of("state", page.state.as_deref(), DeliveryState::ALL)?;
        let (backend, before) = (given(page.backend.as_deref()), before(page.before.as_deref())?);
        Ok(self.store.newest_deliveries((backend, state), before, rows(page.limit)).await?)
    }

    /// What an operator should look at.
    ///
    /// # Errors
    /// [`Problem`].
    pub async fn open_notices(&self, page: &Few) -> Result<Vec<NoticeRow>, Problem> {
        Ok(self.store.notices(false, rows(page.limit)).await?)
    }
}

/// An id from a path.
pub(super) fn id<T: std::str::FromStr>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::invalid(format!("{text:?} is no id")))
}

pub(super) async fn submissions(
    State(api): State<Api>,
    Asked(page): Asked<Page>,
) -> Result<Json<Vec<SubmissionView>>, Problem> {
    api.page(&page).await.map(Json)
}

pub(super) async fn submission(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Json<SubmissionDetail>, Problem> {
    api.detail(&id).await.map(Json)
}

pub(super) async fn recipient(
    State(api): State<Api>,
    Path(text): Path<String>,
) -> Result<Json<RecipientDetail>, Problem> {
    let view = api.store.recipient(id::<RecipientId>(&text)?).await?;
    api.recipient_detail(view).await.map(Json)
}

pub(super) async fn messages(
    State(api): State<Api>,
    Asked(page): Asked<MessagePage>,
) -> Result<Json<Vec<MessageView>>, Problem> {
    api.messages(&page).await.map(Json)
}

pub(super) async fn deliveries(
    State(api): State<Api>,
    Asked(page): Asked<DeliveryPage>,
) -> Result<Json<Vec<DeliveryView>>, Problem> {
    api.received(&page).await.map(Json)
}

pub(super) async fn notices(
    State(api): State<Api>,
    Asked(page): Asked<Few>,
) -> Result<Json<Vec<NoticeRow>>, Problem> {
    api.open_notices(&page).await.map(Json)
}

pub(super) async fn rejected(
    State(api): State<Api>,
    Asked(page): Asked<Few>,
) -> Result<Json<Vec<RejectedRow>>, Problem> {
    Ok(Json(api.store.rejected(rows(page.limit)).await?))
}

pub(super) async fn stray(
    State(api): State<Api>,
    Asked(page): Asked<Few>,
) -> Result<Json<Vec<StrayEvidence>>, Problem> {
    Ok(Json(api.store.stray_evidence(rows(page.limit)).await?))
}
