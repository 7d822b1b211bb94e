//! The ceiling: an axum server that parses the same JSON and answers the same, without sandbox, workflow or disk.

use anyhow::{Context, Result};
use axum::Router;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

/// Serves until it is stopped; prints its address first.
pub(crate) fn serve(listen: &str) -> Result<()> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let listener =
            tokio::net::TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
        println!("listening on http://{}", listener.local_addr()?);
        let router = Router::new().route("/", post(answer)).route("/number", get(async || axum::Json(json!(55))));
        axum::serve(listener, router).await?;
        Ok(())
    })
}

async fn answer(axum::Json(order): axum::Json<Value>) -> Response {
    let id = order["id"].as_str().and_then(|id| HeaderValue::from_str(id).ok());
    let body = axum::Json(json!({"order": order["id"], "lines": order["lines"]}));
    let mut response = (StatusCode::CREATED, body).into_response();
    if let Some(id) = id {
        response.headers_mut().insert(HeaderName::from_static("x-order"), id);
    }
    response
}
