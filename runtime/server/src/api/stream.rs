//! An execution's entries as server-sent events, from any position on.

use std::convert::Infallible;

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use camshaft_model::entry::Sequence;
use camshaft_model::json;
use futures::stream::unfold;
use serde::Deserialize;
use utoipa::IntoParams;

use super::App;
use super::executions::visible;
use super::following::{Following, Told};
use super::page::Asked;
use super::problem::{Fault, Problem};
use crate::tokens::Caller;

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
    let following = Following::new(app, &caller, &summary, next, notices).await;
    let events = unfold(following, |mut following| async move {
        let event = match following.next().await? {
            Told::Entry(at, entry) => {
                Event::default().id(at.to_string()).event(entry.word()).json_data(following.shown(&entry))
            }
            Told::End(status) => Event::default().event("end").json_data(json!({"status": status.as_str()})),
        };
        Some((Ok::<_, Infallible>(event.expect("an entry is JSON, and so is a word")), following))
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
