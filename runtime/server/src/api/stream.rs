//! An execution's entries as server-sent events: those that are there, then each as it becomes durable, from any position on.
//!
//! ```text
//!   subscribe to notices ─► read a page of the journal ─► send it ─┐
//!             ▲                     ▲                              │ nothing more
//!             └─ a notice of this execution, or too many missed ◄──┘
//! ```
//! A notice only says where to look. What is sent comes out of the store, so nothing is sent that is not durable, and a listener
//! that lags behind loses nothing. One page at a time is in memory.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use camshaft_engine::Appended;
use camshaft_model::entry::{At, Entry, Sequence};
use camshaft_model::ids::ExecutionId;
use camshaft_model::program::Program;
use camshaft_model::seams::Directory;
use camshaft_model::summary::Status;
use camshaft_model::time::Timestamp;
use camshaft_model::{Value, json};
use futures::stream::unfold;
use serde::Deserialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use utoipa::IntoParams;

use super::App;
use super::executions::visible;
use super::page::Asked;
use super::problem::{Fault, Problem};
use crate::tokens::Caller;

/// Entries that are read at once.
const PAGE: usize = 32;
/// How long one stream lasts. Its client comes again and goes on where it was, and its token is looked at anew.
const LASTS: Duration = Duration::from_secs(15 * 60);

/// From where on.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StreamQuery {
    /// Position of the first entry, from 0. `Last-Event-ID` goes before it.
    #[param(value_type = Option<u64>)]
    pub from: Option<String>,
}

/// Follow an execution: its entries as server-sent events, those that are there and those to come.
///
/// `id` is an entry's position, `event` its kind, `data` the entry as the journal shows it, with the path of its `step`. Behind the last entry comes an event
/// `end` with `{status}`, and the stream closes: a client that has seen it does not come again. One that does is told 204.
#[utoipa::path(
    get, path = "/api/v1/executions/{execution}/stream", tag = "executions", operation_id = "stream_execution",
    params(
        ("execution" = String, Path, description = "its id"),
        StreamQuery,
        ("Last-Event-ID" = Option<u64>, Header, description = "position of the last entry that came: the next one is the first"),
    ),
    responses(
        (status = 200, description = "events", body = String, content_type = "text/event-stream"),
        (status = 204, description = "it has ended, and nothing follows that entry: do not come again"),
        (status = 400, description = "no position, or one that the journal has not come to"),
        (status = 404, description = "unknown"),
    )
)]
pub async fn stream(
    app: App,
    caller: Caller,
    Path(which): Path<String>,
    Asked(query): Asked<StreamQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    // Before anything is read: an append is either read or told of.
    let notices = (app.appended)();
    let summary = visible(&app, &caller, &which).await?;
    let next = position(&headers, &query)?;
    if next > 0 && app.store.entries(summary.id, next - 1, 1).await?.is_empty() {
        let detail = format!("execution {} has no entry {} yet", summary.id, next - 1);
        return Err(Problem::new(Fault::Malformed, detail));
    }
    if summary.status.is_final() && app.store.entries(summary.id, next, 1).await?.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let until = app.clock.now().plus(LASTS);
    let revision = app.catalog.revision(&summary.workspace, &summary.revision, &summary.environment).await;
    let program = revision.ok().map(|published| published.program.clone());
    let following =
        Following { app, id: summary.id, program, next, read: VecDeque::new(), notices, until, stage: Stage::Reading };
    let events = unfold(following, |following| async move {
        let (event, following) = following.next().await?;
        Some((Ok::<_, Infallible>(event), following))
    });
    // A proxy that collects an answer before it hands it on would hand this one on at its end.
    let unbuffered = [("x-accel-buffering", "no")];
    Ok((unbuffered, Sse::new(events).keep_alive(KeepAlive::default())).into_response())
}

/// Position of the first entry that is wanted.
fn position(headers: &HeaderMap, query: &StreamQuery) -> Result<Sequence, Problem> {
    let read = |what: &str, text: &str| {
        text.parse::<Sequence>().ok().filter(|position| *position < Sequence::MAX).ok_or_else(|| {
            Problem::new(Fault::Malformed, format!("{what} is `{text}`: it is the position of an entry, from 0"))
        })
    };
    match (headers.get("last-event-id"), &query.from) {
        (Some(last), _) => Ok(read("Last-Event-ID", &String::from_utf8_lossy(last.as_bytes()))? + 1),
        (None, Some(from)) => read("`from`", from),
        (None, None) => Ok(0),
    }
}

/// An entry as the journal shows it, and the path of the step that it is about.
fn told(entry: &Entry, program: Option<&Program>) -> Value {
    let mut told = json!(entry);
    let inside = told.get_mut(entry.word()).and_then(Value::as_object_mut);
    if let (Some(inside), Some(program)) = (inside, program)
        && let Some(At(_, step)) = inside.get("at").and_then(|at| At::deserialize(at).ok())
    {
        let path = program.steps.get(step.0 as usize).map(|step| step.path.clone());
        inside.insert("step".to_owned(), json!(path));
    }
    told
}

/// Whoever follows an execution.
struct Following {
    app: App,
    id: ExecutionId,
    /// Its steps; none where its revision cannot be read any more.
    program: Option<Arc<Program>>,
    /// Position of the first entry that is not sent yet.
    next: Sequence,
    /// Entries from there on.
    read: VecDeque<Entry>,
    notices: Receiver<Appended>,
    until: Timestamp,
    stage: Stage,
}

enum Stage {
    Reading,
    /// The last entry is sent.
    Ended(Status),
    Over,
}

impl Following {
    /// The next event; none where the stream closes.
    async fn next(mut self) -> Option<(Event, Self)> {
        let mut is_told = false;
        loop {
            if let Some(entry) = self.read.pop_front() {
                let data = told(&entry, self.program.as_deref());
                let event = Event::default().id(self.next.to_string()).event(entry.word()).json_data(data);
                self.next += 1;
                if let Entry::Ended { outcome, .. } = &entry {
                    self.stage = Stage::Ended(outcome.ending.into());
                }
                return Some((event.expect("an entry is JSON"), self));
            }
            match self.stage {
                Stage::Reading => {}
                Stage::Ended(status) => {
                    self.stage = Stage::Over;
                    let event = Event::default().event("end").json_data(json!({"status": status.as_str()}));
                    return Some((event.expect("a word is JSON"), self));
                }
                Stage::Over => return None,
            }
            match self.app.store.entries(self.id, self.next, PAGE).await {
                Ok(entries) if entries.is_empty() => {
                    // It may be forgotten by now.
                    if is_told && !matches!(self.app.store.summary(self.id).await, Ok(Some(_))) {
                        return None;
                    }
                }
                Ok(entries) => {
                    self.read = entries.into();
                    continue;
                }
                Err(error) => {
                    tracing::warn!(execution = %self.id, %error, "a stream is closed: its journal cannot be read");
                    return None;
                }
            }
            if !self.is_told_of_more().await {
                return None;
            }
            is_told = true;
        }
    }

    /// Waits for a notice of what is not read yet. False where the stream has to close.
    async fn is_told_of_more(&mut self) -> bool {
        let Self { app, id, next, notices, until, .. } = self;
        let over = app.clock.sleep_until(*until);
        let stopping = app.readiness.until_stopping();
        let told = async {
            loop {
                match notices.recv().await {
                    Ok(appended) if appended.execution == *id && appended.next > *next => return true,
                    Ok(_) => {}
                    // Among those missed may be one of ours.
                    Err(RecvError::Lagged(_)) => return true,
                    Err(RecvError::Closed) => return false,
                }
            }
        };
        tokio::select! { told = told => told, () = over => false, () = stopping => false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_begins_behind_the_last_event_or_where_it_is_asked_to() {
        let at = |last: Option<&str>, from: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(last) = last {
                headers.insert("last-event-id", last.parse().unwrap());
            }
            position(&headers, &StreamQuery { from: from.map(str::to_owned) })
        };
        for (last, from, expected) in
            [(None, None, 0), (None, Some("7"), 7), (Some("7"), None, 8), (Some("7"), Some("0"), 8)]
        {
            assert_eq!(at(last, from).unwrap(), expected, "{last:?} {from:?}");
        }
        for (last, from, named) in [
            (None, Some("x"), "`from` is `x`"),
            (None, Some("-1"), "`-1`"),
            (Some(""), None, "Last-Event-ID is ``"),
            (Some("18446744073709551615"), None, "`18446744073709551615`"),
        ] {
            let problem = serde_json::to_string(&at(last, from).unwrap_err()).unwrap();
            assert!(problem.contains(named), "{problem}");
        }
    }
}
