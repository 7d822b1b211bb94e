//! Lists: pages of items in a fixed order, and a cursor to the next.

use axum::Json;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use camshaft_model::limits::{PAGE_DEFAULT, PAGE_MAX};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::{Fault, Problem};

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// What to ask for the next page with; null on the last.
    pub next: Option<String>,
}

/// Which page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Items of a page: 1 to 200, 50 where it is left out.
    pub limit: Option<usize>,
    /// `next` of the page before.
    pub after: Option<String>,
}

impl PageQuery {
    /// A page of items that are sorted by their cursor.
    pub fn page<I, T>(
        &self,
        items: impl IntoIterator<Item = I>,
        cursor: impl Fn(&I) -> String,
        show: impl Fn(&I) -> T,
    ) -> Result<Json<Page<T>>, Problem> {
        let limit = limit(self.limit)?;
        let behind = |item: &I| self.after.as_ref().is_none_or(|after| cursor(item) > *after);
        let mut items: Vec<_> = items.into_iter().filter(behind).take(limit + 1).collect();
        let next = (items.len() > limit).then(|| cursor(&items[limit - 1]));
        items.truncate(limit);
        Ok(Json(Page { items: items.iter().map(show).collect(), next }))
    }
}

/// The number of items that a caller asks for, checked.
pub fn limit(asked: Option<usize>) -> Result<usize, Problem> {
    match asked.unwrap_or(PAGE_DEFAULT) {
        limit @ 1..=PAGE_MAX => Ok(limit),
        other => Err(Problem::new(Fault::Malformed, format!("`limit` is {other}: a page has 1 to {PAGE_MAX} items"))),
    }
}

/// A query string read as a type; what is wrong is a problem that names it.
pub struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(read)) => Ok(Self(read)),
            Err(rejection) => Err(Problem::new(Fault::Malformed, rejection.body_text())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_one_another_until_the_last() {
        let all: Vec<String> = (0..5).map(|n| format!("item-{n}")).collect();
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let query = PageQuery { limit: Some(2), after };
            let Json(page) = query.page(&all, |item| (*item).clone(), |item| (*item).clone()).unwrap();
            seen.extend(page.items);
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!(seen, all);
        let exact = PageQuery { limit: Some(5), after: None };
        assert!(exact.page(&all, |item| (*item).clone(), |_| ()).unwrap().next.is_none(), "no empty page follows");
        for wrong in [0, 201] {
            assert!(limit(Some(wrong)).is_err());
        }
    }
}
