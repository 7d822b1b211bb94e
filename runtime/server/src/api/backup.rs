//! A backup, streamed: everything there is, to whoever may have everything.

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::App;
use super::problem::{Fault, Problem};
use crate::backup::NoBackup;

/// Takes a backup: the database as it stands now, and the keys. Only for admin tokens, since whoever has it has every secret.
///
/// The body is a file for `camshaft restore`. It ends with a digest: one that broke off is not whole, and is refused. One at
/// a time.
#[utoipa::path(
    get, path = "/api/v1/backup", tag = "backup", operation_id = "backup",
    responses(
        (status = 200, description = "the backup", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 409, description = "a backup is being taken already")
    )
)]
pub async fn take(app: App) -> Result<Response, Problem> {
    let taking = app.backups.take().await.map_err(|why| match why {
        NoBackup::UnderWay => Problem::new(Fault::Conflict, why.to_string()),
        NoBackup::Store(error) => error.into(),
        NoBackup::Folder(error) => Problem::internal(error),
    })?;
    let time = taking.taken_at.to_string();
    let day = time.split('T').next().unwrap_or_default();
    let name = format!("attachment; filename=\"camshaft-{day}.backup\"");
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, name),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, Body::from_stream(taking.pieces)).into_response())
}
