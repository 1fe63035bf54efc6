//! Read models: what an operator sees, as JSON here and as pages in the console.

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::{Deserialize, Serialize};

use super::{Api, Problem};
use crate::status::State as Standing;
use crate::store::{
    DeliveryView, MessageView, NoticeRow, RecipientId, RecipientView, RejectedRow, StoredEvidence,
    StrayEvidence, SubmissionId, SubmissionView,
};

/// Most rows of one page.
const PAGE: u32 = 200;

/// Which page.
#[derive(Debug, Default, Clone, Deserialize)]
pub struct Page {
    /// Only what is older than this id.
    pub before: Option<String>,
    /// Only submissions with a recipient in this state.
    pub state: Option<String>,
    /// Only of this channel.
    pub channel: Option<String>,
    /// At most so many.
    pub limit: Option<u32>,
}

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
        let before = page.before.as_deref().filter(|t| !t.is_empty()).map(id::<SubmissionId>).transpose()?;
        let state = page.state.as_deref().filter(|t| !t.is_empty()).map(str::parse::<Standing>).transpose();
        let state = state.map_err(|e| Problem::invalid(e.to_string()))?;
        let channel = page.channel.as_deref().filter(|t| !t.is_empty());
        let limit = page.limit.unwrap_or(PAGE).clamp(1, PAGE);
        Ok(self.store.submissions(channel, state, before, limit).await?)
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

    /// What is at the backends' disposal or was, newest last.
    ///
    /// # Errors
    /// [`Problem`].
    pub async fn received(&self) -> Result<Vec<DeliveryView>, Problem> {
        Ok(self.store.deliveries(None, &[], None, PAGE).await?)
    }

    /// What an operator should look at.
    ///
    /// # Errors
    /// [`Problem`].
    pub async fn open_notices(&self) -> Result<Vec<NoticeRow>, Problem> {
        Ok(self.store.notices(false, PAGE).await?)
    }
}

/// An id from a path.
pub(super) fn id<T: std::str::FromStr>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::invalid(format!("{text:?} is no id")))
}

pub(super) async fn submissions(
    State(api): State<Api>,
    Query(page): Query<Page>,
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

pub(super) async fn messages(State(api): State<Api>) -> Result<Json<Vec<MessageView>>, Problem> {
    Ok(Json(api.store.messages((None, None), None, PAGE).await?))
}

pub(super) async fn deliveries(State(api): State<Api>) -> Result<Json<Vec<DeliveryView>>, Problem> {
    api.received().await.map(Json)
}

pub(super) async fn notices(State(api): State<Api>) -> Result<Json<Vec<NoticeRow>>, Problem> {
    api.open_notices().await.map(Json)
}

pub(super) async fn rejected(State(api): State<Api>) -> Result<Json<Vec<RejectedRow>>, Problem> {
    Ok(Json(api.store.rejected(PAGE).await?))
}

pub(super) async fn stray(State(api): State<Api>) -> Result<Json<Vec<StrayEvidence>>, Problem> {
    Ok(Json(api.store.stray_evidence(PAGE).await?))
}
