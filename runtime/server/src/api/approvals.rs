//! Who waits for a person's answer: read off the summaries of what is open, never off journals. Answers are `tell`'s.

use axum::Json;
use camshaft_model::summary::{Asked as Question, Status, Summary};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::filter::{self, Filter};
use super::page::{Asked, Page, limit};
use super::problem::Problem;
use crate::tokens::{Caller, Right, Scope};

/// An approval that nobody has answered yet.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApprovalItem {
    /// The execution that asks.
    pub execution_id: String,
    /// Name of its workflow.
    pub workflow: String,
    /// Id of its workflow.
    pub workflow_id: String,
    /// Where it runs.
    pub environment: String,
    /// Whether it is a test.
    pub test: bool,
    /// Path of the step.
    pub step: String,
    /// Turns of the loops around it, outermost first.
    pub iteration: Vec<u32>,
    /// The question; a long one is shortened, the execution has all of it.
    pub ask: String,
    /// Labels of the tokens that may answer; empty is any.
    pub of: Vec<String>,
    /// Whether the token that asks for this list may.
    pub may_answer: bool,
    /// Since when it is asked (RFC 3339).
    pub asked_at: String,
    /// When it fails for want of an answer (RFC 3339).
    pub until: Option<String>,
}

/// Which approvals.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ApprovalQuery {
    /// Of executions of this workflow: name or id.
    pub workflow: Option<String>,
    /// Executions of a page: 1 to 200, 50 where it is left out. One may ask for several.
    pub limit: Option<usize>,
    /// `next` of the page before.
    pub before: Option<String>,
}

/// List the approvals that wait for an answer, those of the newest execution first.
///
/// One request looks at a bounded number of open executions: a page may be short or empty and still have a `next`. Of one
/// execution at most 100 are listed.
#[utoipa::path(
    get, path = "/api/v1/approvals", tag = "executions", operation_id = "list_approvals", params(ApprovalQuery),
    responses((status = 200, description = "a page", body = Page<ApprovalItem>), (status = 404, description = "unknown workflow"))
)]
pub async fn list(
    app: App,
    caller: Caller,
    Asked(query): Asked<ApprovalQuery>,
) -> Result<Json<Page<ApprovalItem>>, Problem> {
    let limit = limit(query.limit)?;
    let filter = Filter { workflow: query.workflow, ..Filter::default() };
    // One that asks in a branch runs while another branch works.
    let wanted = filter.check(&app, &caller)?.in_statuses(&[Status::Running, Status::Waiting]);
    let before = query.before.as_deref().map(str::parse).transpose()?;
    let looked = filter::look(&app, &wanted, before, limit, |summary| !summary.outlook.asked.is_empty()).await?;
    let items = looked.found.iter().flat_map(|summary| {
        let item = |question| ApprovalItem::of(summary, question, &caller);
        summary.outlook.asked.iter().map(item).collect::<Vec<_>>()
    });
    Ok(Json(Page { items: items.collect(), next: looked.next.map(|next| next.to_string()) }))
}

impl ApprovalItem {
    fn of(summary: &Summary, question: &Question, caller: &Caller) -> Self {
        let may_answer = match caller.scope {
            Scope::Read | Scope::Events => false,
            Scope::Operator => true,
            Scope::Workflow(own) if !own.rights.has(Right::Trigger) => false,
            Scope::Admin if question.of.is_empty() => true,
            _ => question.of.iter().any(|label| *label == *caller.label),
        };
        Self {
            execution_id: summary.id.to_string(),
            workflow: summary.revision.workflow.to_string(),
            workflow_id: summary.revision.workflow_id.to_string(),
            environment: summary.environment.to_string(),
            test: summary.test,
            step: question.step.clone(),
            iteration: question.iteration.clone(),
            ask: question.ask.clone(),
            of: question.of.clone(),
            may_answer,
            asked_at: question.since.to_string(),
            until: question.until.map(|until| until.to_string()),
        }
    }
}
