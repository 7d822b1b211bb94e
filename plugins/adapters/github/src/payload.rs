//! The few fields of GitHub's payloads that make an event's name and place; the rest stays untouched.

use camshaft_sdk::prelude::*;

#[derive(Deserialize)]
pub(crate) struct Payload {
    pub(crate) action: Option<String>,
    pub(crate) zen: Option<String>,
    pub(crate) hook_id: Option<u64>,
    #[serde(rename = "ref")]
    reference: Option<String>,
    repository: Option<Place>,
    organization: Option<Organization>,
    issue: Option<Numbered>,
    pull_request: Option<Numbered>,
    discussion: Option<Numbered>,
}

#[derive(Deserialize)]
struct Place {
    html_url: Option<String>,
}

#[derive(Deserialize)]
struct Organization {
    login: Option<String>,
}

#[derive(Deserialize)]
struct Numbered {
    number: Option<u64>,
}

impl Payload {
    /// Reads the payload, and gives the body back where it is not the request's own: GitHub's form deliveries carry the JSON in
    /// the field `payload`.
    pub(crate) fn read(request: &Request) -> Result<(Self, Option<Value>), Rejection> {
        if !request.is("application/x-www-form-urlencoded") {
            return Ok((request.json()?, None));
        }
        let missing = || Rejection::Malformed("the form has no field `payload`".to_owned());
        let broken = |error| Rejection::Malformed(format!("the field `payload` is not GitHub's JSON: {error}"));
        let text = Request::form_field(&request.content()?, "payload").ok_or_else(missing)?;
        let body: Value = serde_json::from_slice(&text).map_err(broken)?;
        Ok((serde_json::from_slice(&text).map_err(broken)?, Some(body)))
    }

    /// The repository, or the organisation where the event belongs to none.
    pub(crate) fn source(&self) -> Option<String> {
        let repository = self.repository.as_ref().and_then(|repository| repository.html_url.clone());
        let organization =
            || self.organization.as_ref()?.login.as_ref().map(|login| format!("https://github.com/{login}"));
        repository.or_else(organization)
    }

    /// The number of the issue, pull request or discussion; the branch or tag of a push.
    pub(crate) fn subject(&self) -> Option<String> {
        let numbered = [&self.issue, &self.pull_request, &self.discussion];
        let number = numbered.into_iter().flatten().find_map(|item| item.number);
        number.map(|number| number.to_string()).or_else(|| self.reference.clone())
    }
}
