//! Connecting users: the one place in which the management API and the dialects change users and connections, and where
//! `connected` triggers are told.
//!
//! ```text
//!   connection set up, `unannounced` ─► durable ─► dispatch under the delivery of the connection's id ─► announced
//! ```
//! A crash in between leaves it unannounced; the next start tells it then, and the delivery makes that once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use camshaft_model::connection::{Connection, ConnectionRef};
use camshaft_model::ids::{Digest, Name, ResourceId, SecretName, UserId};
use camshaft_model::invocation::{DeliveryKey, Reply, SeenDelivery, TriggerSource};
use camshaft_model::limits::{
    CONNECTIONS_MAX, CREDENTIALS_MAX, ENABLED_MAX, METADATA_BYTES_MAX, PAGE_MAX, SECRET_BYTES_MAX, SETTINGS_BYTES_MAX,
    USERS_MAX,
};
use camshaft_model::matching::Match;
use camshaft_model::resource::{Change, Expect, ResourceKey, ResourceKind};
use camshaft_model::seams::{Directory, DispatchError, DispatchRequest};
use camshaft_model::time::Timestamp;
use camshaft_model::{Map, Value, json};

use super::problem::{Fault, Problem};
use super::{App, check_generation};
use crate::catalog::specs::{self, ConnectionSpec, Kept, UserSpec};
use crate::vault::Sealed;

/// What of a connection shall be otherwise.
#[derive(Default)]
pub struct Changed {
    /// `$.connection.settings`; those before where there are none.
    pub settings: Option<Map<String, Value>>,
    /// Credentials to set, and to remove where there is no value; the others stay.
    pub credentials: BTreeMap<SecretName, Option<String>>,
    /// Whether it is set up with this.
    pub complete: bool,
}

/// A user's own, before anything is changed: whom it is of, and whether they are new.
struct Of {
    user: ResourceId,
    put: Option<Change>,
}

/// Makes or changes a user.
pub async fn put_user(
    app: &App,
    user: &UserId,
    metadata: Option<Map<String, Value>>,
    headers: Option<&HeaderMap>,
) -> Result<(Arc<Kept<UserSpec>>, bool), Problem> {
    if let Some(metadata) = &metadata {
        check_size("metadata", metadata, METADATA_BYTES_MAX)?;
    }
    let _editing = app.catalog.edit().await;
    let before = app.catalog.user(&app.workspace, user);
    if let Some(headers) = headers {
        check_generation(headers, before.as_ref().map_or(0, |kept| kept.generation))?;
    }
    let kept = before.as_ref().map(|kept| kept.spec.clone()).unwrap_or_default();
    let spec = UserSpec { metadata: metadata.unwrap_or(kept.metadata) };
    app.catalog.change(vec![user_change(app, user, &spec, before.as_deref())?]).await?;
    Ok((known(app, user)?, before.is_none()))
}

fn user_change(app: &App, user: &UserId, spec: &UserSpec, before: Option<&Kept<UserSpec>>) -> Result<Change, Problem> {
    if before.is_none() && app.catalog.user_count(&app.workspace) >= USERS_MAX {
        let detail = format!("user `{user}` would be one more than {USERS_MAX} users, which is the limit");
        return Err(Problem::new(Fault::Invalid, detail));
    }
    let id = before.map_or_else(|| app.ids.resource(), |kept| kept.id);
    let resource = specs::resource(specs::key(ResourceKind::User, &app.workspace, user), id, spec, app.clock.now());
    let expect = before.map_or(Expect::Absent, |kept| Expect::Generation(kept.generation));
    Ok(Change::Put { resource, expect })
}

/// A user that there is.
pub fn known(app: &App, user: &UserId) -> Result<Arc<Kept<UserSpec>>, Problem> {
    app.catalog.user(&app.workspace, user).ok_or_else(|| Problem::not_found("user", user))
}

/// A connection that there is.
pub fn connection(app: &App, of: &ConnectionRef) -> Result<Arc<Kept<ConnectionSpec>>, Problem> {
    app.catalog.connection(&app.workspace, of).ok_or_else(|| {
        Problem::new(Fault::NotFound, format!("user `{}` has no connection to `{}`", of.user, of.integration))
    })
}

/// Removes a user with every connection, and so every credential.
pub async fn remove_user(app: &App, user: &UserId) -> Result<(), Problem> {
    let _editing = app.catalog.edit().await;
    let kept = known(app, user)?;
    let connections = app.catalog.connections_of(&app.workspace, user);
    let gone = connections.iter().map(|kept| (kept.key.clone(), kept.generation));
    let gone = gone.chain([(kept.key.clone(), kept.generation)]);
    let changes = gone.map(|(key, generation)| Change::Delete { key, expect: Expect::Generation(generation) });
    app.catalog.change(changes.collect()).await?;
    Ok(())
}

/// Removes a connection with its credentials. Executions that run with it go on, and are given no credential any more.
pub async fn disconnect(app: &App, of: &ConnectionRef) -> Result<(), Problem> {
    let _editing = app.catalog.edit().await;
    let kept = connection(app, of)?;
    let expect = Expect::Generation(kept.generation);
    app.catalog.change(vec![Change::Delete { key: kept.key.clone(), expect }]).await?;
    Ok(())
}

/// Connects a user, who is made where there is none, or changes their connection. Answers whether it is new.
pub async fn connect(
    app: &App,
    of: &ConnectionRef,
    changed: Changed,
    headers: Option<&HeaderMap>,
) -> Result<(Arc<Kept<ConnectionSpec>>, bool), Problem> {
    if let Some(settings) = &changed.settings {
        check_size("settings", settings, SETTINGS_BYTES_MAX)?;
    }
    let is_new = {
        let _editing = app.catalog.edit().await;
        let before = app.catalog.connection(&app.workspace, of);
        if let Some(headers) = headers {
            check_generation(headers, before.as_ref().map_or(0, |kept| kept.generation))?;
        }
        put(app, of, before.as_deref(), changed).await?;
        before.is_none()
    };
    announce(app, of).await?;
    Ok((connection(app, of)?, is_new))
}

async fn put(
    app: &App,
    of: &ConnectionRef,
    before: Option<&Kept<ConnectionSpec>>,
    changed: Changed,
) -> Result<(), Problem> {
    let workspace = &app.workspace;
    if app.catalog.integration_kept(workspace, &of.integration).is_none() {
        let all = app.catalog.integrations(workspace);
        return Err(Problem::not_among("integration", &of.integration, all.iter().map(|kept| kept.key.name.as_str())));
    }
    let Of { user, put } = user_of(app, of)?;
    if before.is_none() && app.catalog.connections_of(workspace, &of.user).len() >= CONNECTIONS_MAX {
        let detail =
            format!("user `{}` would have more than {CONNECTIONS_MAX} connections, which is the limit", of.user);
        return Err(Problem::new(Fault::Invalid, detail));
    }
    let now = app.clock.now();
    let key = specs::connection_key(workspace, user, &of.integration);
    let id = before.map_or_else(|| app.ids.resource(), |kept| kept.id);
    let mut spec = before.map_or_else(|| fresh(of), |kept| kept.spec.clone());
    spec.settings = changed.settings.unwrap_or(spec.settings);
    for (name, value) in changed.credentials {
        match value {
            Some(value) => {
                super::secrets::check_value(name.as_str(), &value)?;
                let place = specs::credential_place(&key, &name);
                spec.credentials.insert(name, app.catalog.vault().seal(&place, &value).map_err(Problem::internal)?);
            }
            None => drop(spec.credentials.remove(&name)),
        }
    }
    check_credentials(app, &key, &spec)?;
    if changed.complete && spec.connected_at.is_none() {
        spec.connected_at = Some(now);
        spec.unannounced = true;
    }
    let expect = before.map_or(Expect::Absent, |kept| Expect::Generation(kept.generation));
    let connection = Change::Put { resource: specs::resource(key, id, &spec, now), expect };
    app.catalog.change(put.into_iter().chain([connection]).collect()).await?;
    Ok(())
}

fn fresh(of: &ConnectionRef) -> ConnectionSpec {
    ConnectionSpec {
        of: of.clone(),
        settings: Map::new(),
        credentials: BTreeMap::new(),
        enabled: BTreeMap::new(),
        connected_at: None,
        unannounced: false,
    }
}

fn user_of(app: &App, of: &ConnectionRef) -> Result<Of, Problem> {
    if let Some(kept) = app.catalog.user(&app.workspace, &of.user) {
        return Ok(Of { user: kept.id, put: None });
    }
    let put = user_change(app, &of.user, &UserSpec::default(), None)?;
    let Change::Put { resource, .. } = &put else { unreachable!("a user is put") };
    Ok(Of { user: resource.id, put: Some(put) })
}

/// No more credentials than a connection may have, in number and in bytes.
fn check_credentials(app: &App, key: &ResourceKey, spec: &ConnectionSpec) -> Result<(), Problem> {
    let count = spec.credentials.len();
    if count > CREDENTIALS_MAX {
        let detail = format!("the connection would have {count} credentials; {CREDENTIALS_MAX} is the limit");
        return Err(Problem::new(Fault::Invalid, detail));
    }
    let opened = |(name, sealed): (&SecretName, &Sealed)| {
        app.catalog.vault().unseal(&specs::credential_place(key, name), sealed).map_or(0, |value| value.len())
    };
    let bytes: usize = spec.credentials.iter().map(opened).sum();
    if bytes > SECRET_BYTES_MAX {
        let detail = format!("the credentials would have {bytes} bytes together; {SECRET_BYTES_MAX} is the limit");
        return Err(Problem::new(Fault::Invalid, detail));
    }
    Ok(())
}

fn check_size(what: &str, fields: &Map<String, Value>, limit: usize) -> Result<(), Problem> {
    let bytes = json!(fields).to_string().len();
    if bytes <= limit {
        return Ok(());
    }
    Err(Problem::new(Fault::Invalid, format!("`{what}` has {bytes} bytes of JSON; {limit} is the limit")))
}

/// Enables or disables a workflow for a user, in one of their connections.
pub async fn enable(
    app: &App,
    of: &ConnectionRef,
    workflow: &str,
    enabled: bool,
) -> Result<Arc<Kept<ConnectionSpec>>, Problem> {
    let workflow = app.workflow(workflow)?;
    let _editing = app.catalog.edit().await;
    let kept = connection(app, of)?;
    if kept.spec.enabled.contains_key(&workflow.id) == enabled {
        return Ok(kept);
    }
    let (mut spec, now) = (kept.spec.clone(), app.clock.now());
    if enabled {
        if spec.enabled.len() >= ENABLED_MAX {
            let detail = format!("the connection has {ENABLED_MAX} workflows enabled already, which is the limit");
            return Err(Problem::new(Fault::Invalid, detail));
        }
        spec.enabled.insert(workflow.id, now);
    } else {
        spec.enabled.remove(&workflow.id);
    }
    let resource = specs::resource(kept.key.clone(), kept.id, &spec, now);
    app.catalog.change(vec![Change::Put { resource, expect: Expect::Generation(kept.generation) }]).await?;
    connection(app, of)
}

/// Starts what is to start when a user has connected, once for a connection.
async fn announce(app: &App, of: &ConnectionRef) -> Result<(), Problem> {
    let Some(kept) = app.catalog.connection(&app.workspace, of).filter(|kept| kept.spec.unannounced) else {
        return Ok(());
    };
    tell(app, of, kept.id).await?;
    let _editing = app.catalog.edit().await;
    // It may have been removed, or made anew, meanwhile.
    let Some(now) = app.catalog.connection(&app.workspace, of).filter(|now| now.id == kept.id) else { return Ok(()) };
    let spec = ConnectionSpec { unannounced: false, ..now.spec.clone() };
    let resource = specs::resource(now.key.clone(), now.id, &spec, now.updated_at);
    app.catalog.change(vec![Change::Put { resource, expect: Expect::Generation(now.generation) }]).await?;
    Ok(())
}

async fn tell(app: &App, of: &ConnectionRef, id: ResourceId) -> Result<(), Problem> {
    let key = DeliveryKey { workspace: app.workspace.clone(), scope: "connected".to_owned(), id: id.to_string() };
    // Also one that is older than deliveries are remembered for: it may not be forgotten yet.
    if app.store.delivery(&key, Timestamp(0)).await?.is_some() {
        return Ok(());
    }
    let now = app.clock.now();
    let Some(ready) = app.catalog.connection_ready(&app.workspace, of) else { return Ok(()) };
    let event = Arc::new(json!({
        "id": id,
        "type": "connected",
        "source": of.integration,
        "subject": of.user,
        "time": now.to_string(),
        "integration": of.integration,
    }));
    let source = || TriggerSource::Connected { integration: of.integration.clone() };
    let start = |matched: Match| {
        let started = matched.start(source(), &event);
        let workflow = &matched.published.revision.workflow;
        started.map_err(|faults| tracing::warn!(%workflow, "not started by a connection: {}", faults.join("; "))).ok()
    };
    let starts: Vec<_> = app.catalog.told_of(&app.workspace, &ready).into_iter().filter_map(start).collect();
    if starts.is_empty() {
        return Ok(());
    }
    let delivery = Some(SeenDelivery { key, body: Digest([0; 32]), at: now, executions: Vec::new() });
    let (reply, window, request_id) = (Reply::Detach, Duration::ZERO, None);
    let request = DispatchRequest { delivery, starts, reply, window, request_id };
    match app.dispatch.dispatch(request).await {
        Ok(_) => Ok(()),
        // Its workflows have no room for it; the triggers tell so.
        Err(error @ DispatchError::LimitReached(_)) => {
            tracing::warn!(connection = %id, %error, "nothing was started for a user who connected");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Tells of what a former server could not: connections that were set up just before it went.
pub async fn announce_all(app: &App) -> Result<(), Problem> {
    let mut after: Option<ConnectionRef> = None;
    loop {
        let page = app.catalog.connections_where(&app.workspace, after.as_ref(), PAGE_MAX, |spec| spec.unannounced);
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.spec.of.clone());
        for kept in &page {
            announce(app, &kept.spec.of).await?;
        }
    }
}

/// The connection that a caller wants a workflow to run with: the user's own that has it enabled.
pub fn enabling(
    app: &App,
    user: &UserId,
    integration: Option<&Name>,
    (workflow, name): (ResourceId, &str),
) -> Result<Arc<Connection>, Problem> {
    let all = app.catalog.connections(&app.workspace, user);
    let is_meant = |of: &ConnectionRef| integration.is_none_or(|integration| of.integration == *integration);
    let mut enabling = all.into_iter().filter(|one| one.enables(workflow) && is_meant(&one.of));
    let to = integration.map_or_else(String::new, |integration| format!(" to `{integration}`"));
    let Some(first) = enabling.next() else {
        let detail = format!("user `{user}` has no connection{to} that has workflow `{name}` enabled");
        return Err(Problem::new(Fault::NotFound, detail));
    };
    let others: Vec<_> = enabling.map(|one| format!("`{}`", one.of.integration)).collect();
    if others.is_empty() {
        return Ok(first);
    }
    let (one, others) = (&first.of.integration, others.join(", "));
    let detail =
        format!("user `{user}` has workflow `{name}` enabled in the connections to `{one}`, {others}; name one");
    Err(Problem::new(Fault::Invalid, detail))
}
