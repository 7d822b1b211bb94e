//! Which executions: the same words for the query of a list and for whatever is done to many at once.
//!
//! The store finds by workflow and status. Everything else is read off the summaries, so a request looks at a bounded number of
//! them and hands back where to go on.

use std::time::Duration;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use camshaft_model::ids::{ExecutionId, Name, ResourceId, UserId};
use camshaft_model::limits::LOOKED_AT_MAX;
use camshaft_model::seams::{StoreError, SummaryQuery};
use camshaft_model::summary::{Status, Summary};
use camshaft_model::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::problem::{Fault, Problem};
use crate::tokens::{Caller, Scope};

/// Summaries that are read at once.
const CHUNK: usize = 256;
/// Most labels that are asked for at once.
const LABELS_MAX: usize = 16;
/// What starts an execution.
const TRIGGERS: [&str; 9] =
    ["manual", "webhook", "request", "event", "app_event", "connected", "resource", "schedule", "workflow"];
/// How much later than it is accepted an execution may get its id: while a start completes, or the clock is set back a little.
const ID_LAG: Duration = Duration::from_secs(60);

/// Which executions: all that is said must hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Of this workflow: name or id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// In this status, or one of several separated by commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// With this label: `key:value`. Several times: with all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub label: Vec<String>,
    /// Started by this: `manual`, `webhook`, `request`, `schedule`, `workflow`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    /// With a connection of this user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// In this environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Accepted at this time or later (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Accepted before this time (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Only tests, or none of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<bool>,
}

/// Which page of executions.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Items of a page: 1 to 200, 50 where it is left out.
    pub limit: Option<usize>,
    /// `next` of the page before: executions older than this one.
    pub before: Option<String>,
}

/// The query of a list of executions.
#[derive(Debug, Default)]
pub struct Listing {
    /// Which ones.
    pub filter: Filter,
    /// Which page of them.
    pub query: ListQuery,
}

impl<S: Send + Sync> FromRequestParts<S> for Listing {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match Query::<Vec<(String, String)>>::try_from_uri(&parts.uri) {
            Ok(Query(pairs)) => Self::read(pairs),
            Err(rejection) => Err(Problem::new(Fault::Malformed, rejection.body_text())),
        }
    }
}

impl Listing {
    fn read(pairs: Vec<(String, String)>) -> Result<Self, Problem> {
        let mut listing = Self::default();
        let Self { filter, query } = &mut listing;
        for (name, value) in pairs {
            let malformed = |rule: &str| {
                Problem::new(Fault::Malformed, format!("`{name}` is `{value}`: {rule}")).with("field", &name)
            };
            let place = match name.as_str() {
                "workflow" => &mut filter.workflow,
                "status" => &mut filter.status,
                "trigger" => &mut filter.trigger,
                "user" => &mut filter.user,
                "environment" => &mut filter.environment,
                "since" => &mut filter.since,
                "until" => &mut filter.until,
                "before" => &mut query.before,
                "label" => {
                    filter.label.push(value);
                    continue;
                }
                "test" => {
                    filter.test = Some(value.parse().map_err(|_| malformed("it is `true` or `false`"))?);
                    continue;
                }
                "limit" => {
                    query.limit = Some(value.parse().map_err(|_| malformed("it is a number"))?);
                    continue;
                }
                _ => {
                    let known =
                        "workflow, status, label, trigger, user, environment, since, until, test, limit, before";
                    return Err(malformed(&format!("there is no such parameter; known are {known}")));
                }
            };
            if place.is_some() {
                return Err(malformed("it is there twice"));
            }
            *place = Some(value);
        }
        Ok(listing)
    }
}

/// A filter that was checked, with what its caller may see.
#[derive(Debug, Clone)]
pub struct Wanted {
    workspace: Name,
    workflow: Option<ResourceId>,
    statuses: Vec<Status>,
    labels: Vec<(String, String)>,
    trigger: Option<String>,
    user: Option<UserId>,
    environment: Option<String>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    test: Option<bool>,
}

impl Filter {
    /// Checks the words; a workflow's own token sees that workflow alone.
    pub fn check(&self, app: &App, caller: &Caller) -> Result<Wanted, Problem> {
        let asked = match &self.workflow {
            Some(which) => Some(app.workflow(which)?.id),
            None => None,
        };
        let workflow = match (asked, caller.scope) {
            (Some(asked), _) if !caller.sees(asked) => {
                return Err(Problem::not_found("workflow", self.workflow.as_deref().unwrap_or_default()));
            }
            (None, Scope::Workflow(own)) => Some(own.id),
            (asked, _) => asked,
        };
        if let Some(trigger) = self.trigger.as_ref().filter(|trigger| !TRIGGERS.contains(&trigger.as_str())) {
            let detail = format!("trigger `{trigger}` is none of {}", TRIGGERS.join(", "));
            return Err(Problem::new(Fault::Malformed, detail));
        }
        if self.label.len() > LABELS_MAX {
            let detail = format!("{} labels are asked for; {LABELS_MAX} is the limit", self.label.len());
            return Err(Problem::new(Fault::Malformed, detail));
        }
        Ok(Wanted {
            workspace: caller.workspace.clone(),
            workflow,
            statuses: statuses(self.status.as_deref())?,
            labels: self.label.iter().map(|label| pair(label)).collect::<Result<_, _>>()?,
            trigger: self.trigger.clone(),
            user: self.user.as_deref().map(UserId::new).transpose()?,
            environment: self.environment.clone(),
            since: time("since", self.since.as_deref())?,
            until: time("until", self.until.as_deref())?,
            test: self.test,
        })
    }
}

fn statuses(asked: Option<&str>) -> Result<Vec<Status>, Problem> {
    // A text that says nothing is no filter that was meant: `--status "$UNSET"` is told, and does not mean everything.
    let words = asked.into_iter().flat_map(|asked| asked.split(',')).map(str::trim);
    words
        .map(|word| {
            Status::ALL.into_iter().find(|status| status.as_str() == word).ok_or_else(|| {
                let known: Vec<_> = Status::ALL.iter().map(|status| status.as_str()).collect();
                Problem::new(Fault::Malformed, format!("status `{word}` is none of {}", known.join(", ")))
            })
        })
        .collect()
}

fn pair(label: &str) -> Result<(String, String), Problem> {
    match label.split_once(':') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(Problem::new(Fault::Malformed, format!("label `{label}` is no `key:value`"))),
    }
}

fn time(what: &str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = text else { return Ok(None) };
    text.parse().map(Some).map_err(|why| Problem::new(Fault::Malformed, format!("`{what}`: {why}")))
}

impl Wanted {
    /// The open executions of whatever is wanted that may ask for something.
    #[must_use]
    pub fn in_statuses(self, statuses: &[Status]) -> Self {
        Self { statuses: statuses.to_vec(), ..self }
    }

    fn holds(&self, summary: &Summary) -> bool {
        self.labels.iter().all(|(key, value)| summary.labels.get(key) == Some(value))
            && self.trigger.as_ref().is_none_or(|trigger| trigger == summary.trigger.word())
            && self.user.as_ref().is_none_or(|user| summary.connection.as_ref().is_some_and(|of| of.user == *user))
            && self.environment.as_ref().is_none_or(|environment| environment == summary.environment.as_str())
            && self.since.is_none_or(|since| summary.accepted_at >= since)
            && self.until.is_none_or(|until| summary.accepted_at < until)
            && self.test.is_none_or(|test| summary.test == test)
    }
}

/// What a look has found.
#[derive(Debug)]
pub struct Looked {
    /// Executions, newest first.
    pub found: Vec<Summary>,
    /// Where to go on; none where there is nothing more.
    pub next: Option<ExecutionId>,
}

/// At most `limit` executions older than `before` that are wanted and `fit`, out of at most [`LOOKED_AT_MAX`].
pub async fn look(
    app: &App,
    wanted: &Wanted,
    before: Option<ExecutionId>,
    limit: usize,
    fit: impl Fn(&Summary) -> bool,
) -> Result<Looked, StoreError> {
    // Ids are ordered by time, so those that are too new are leapt over, and those that are too old end it.
    let newest = wanted.until.map(|until| ExecutionId::first_at(until.plus(ID_LAG)));
    let oldest = wanted.since.map(ExecutionId::first_at);
    let mut before = before.into_iter().chain(newest).min();
    let (mut found, mut looked_at) = (Vec::new(), 0);
    // Where nothing is left out, the first chunk is the page.
    let mut chunk = limit;
    loop {
        let query = SummaryQuery {
            workspace: Some(wanted.workspace.clone()),
            workflow: wanted.workflow,
            statuses: wanted.statuses.clone(),
            before,
            // One more says whether there is more.
            limit: chunk + 1,
        };
        let mut page = app.store.summaries(query).await?;
        let is_last = page.len() <= chunk;
        page.truncate(chunk);
        for summary in page {
            if oldest.is_some_and(|oldest| summary.id < oldest) {
                return Ok(Looked { found, next: None });
            }
            let is_meant = wanted.holds(&summary) && fit(&summary);
            if is_meant && found.len() == limit {
                return Ok(Looked { found, next: before });
            }
            before = Some(summary.id);
            looked_at += 1;
            if is_meant {
                found.push(summary);
            }
        }
        if is_last {
            return Ok(Looked { found, next: None });
        }
        chunk = CHUNK.min(LOOKED_AT_MAX.saturating_sub(looked_at));
        if looked_at >= LOOKED_AT_MAX {
            return Ok(Looked { found, next: before });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Listing, Problem> {
        Listing::read(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn a_query_is_read_word_by_word_and_labels_add_up() {
        let listing = read(&[("label", "team:a"), ("label", "tier:b:c"), ("test", "false"), ("limit", "7")]).unwrap();
        assert_eq!(listing.filter.label, ["team:a", "tier:b:c"]);
        assert_eq!((listing.filter.test, listing.query.limit), (Some(false), Some(7)));
        assert_eq!(pair("tier:b:c").unwrap(), ("tier".to_owned(), "b:c".to_owned()));
    }

    #[test]
    fn what_is_wrong_with_a_query_is_named_with_its_value() {
        for (pairs, named) in [
            (&[("state", "failed")][..], "`state` is `failed`: there is no such parameter"),
            (&[("status", "failed"), ("status", "queued")], "`status` is `queued`: it is there twice"),
            (&[("test", "yes")], "`test` is `yes`"),
            (&[("limit", "many")], "`limit` is `many`"),
        ] {
            let problem = serde_json::to_string(&read(pairs).unwrap_err()).unwrap();
            assert!(problem.contains(named), "{problem}");
        }
        let problem = |problem: Problem| serde_json::to_string(&problem).unwrap();
        assert!(problem(pair("team").unwrap_err()).contains("`team`"));
        assert!(problem(pair(":x").unwrap_err()).contains("`:x`"));
        assert!(problem(time("since", Some("soon")).unwrap_err()).contains("`since`: `soon`"));
    }

    #[test]
    fn statuses_are_asked_for_by_their_words() {
        assert_eq!(statuses(None).unwrap(), []);
        assert_eq!(statuses(Some("failed, timed_out")).unwrap(), [Status::Failed, Status::TimedOut]);
        for empty in ["", ",", "failed,"] {
            assert!(statuses(Some(empty)).is_err(), "{empty:?}");
        }
        let problem = serde_json::to_string(&statuses(Some("broken")).unwrap_err()).unwrap();
        assert!(problem.contains("`broken`") && problem.contains("succeeded"), "{problem}");
    }
}
