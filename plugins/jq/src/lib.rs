//! jq inside a component: a filter and a JSON text in, the first output as JSON text out.
//!
//! Nothing reaches outside: no environment, clock, local time zone, input or exit. Bounds in time and memory are the host's.

mod filter;
mod json;
mod library;

pub use filter::{Fault, Filter};

use std::cell::RefCell;
use std::rc::Rc;

/// Compiled filters that are kept, for hosts that keep instances.
const FILTERS_KEPT_MAX: usize = 256;

thread_local! {
    static KEPT: RefCell<Vec<(String, Rc<Filter>)>> = const { RefCell::new(Vec::new()) };
}

/// The filter's first output for this input; `null` where it has none. Filters are kept, the least recently used one goes.
///
/// # Errors
/// Where the filter or the input cannot be read, the filter fails, or its output is no JSON.
pub fn evaluate(filter: &str, input: &str) -> Result<String, Fault> {
    let filter = match kept(filter) {
        Some(known) => known,
        None => keep(filter, Rc::new(Filter::compile(filter)?)),
    };
    filter.first(input)
}

/// Whether a filter can be read; it is kept for when it is run.
///
/// # Errors
/// Where it is no jq, or names what does not exist.
pub fn check(filter: &str) -> Result<(), Fault> {
    if kept(filter).is_none() {
        keep(filter, Rc::new(Filter::compile(filter)?));
    }
    Ok(())
}

fn kept(source: &str) -> Option<Rc<Filter>> {
    KEPT.with_borrow_mut(|kept| {
        let index = kept.iter().rposition(|(known, _)| known == source)?;
        let found = kept.remove(index);
        let filter = Rc::clone(&found.1);
        kept.push(found);
        Some(filter)
    })
}

fn keep(source: &str, filter: Rc<Filter>) -> Rc<Filter> {
    KEPT.with_borrow_mut(|kept| {
        if kept.len() == FILTERS_KEPT_MAX {
            kept.remove(0);
        }
        kept.push((source.to_owned(), Rc::clone(&filter)));
    });
    filter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_kept_up_to_the_bound_and_the_least_used_goes() {
        let count = || KEPT.with_borrow(Vec::len);
        assert_eq!(evaluate(".+0", "1").unwrap(), "1");
        for number in 1..=FILTERS_KEPT_MAX {
            evaluate(&format!(".+{number}"), "1").unwrap();
            evaluate(".+0", "1").unwrap();
        }
        assert_eq!(count(), FILTERS_KEPT_MAX);
        assert!(kept(".+0").is_some(), "used all the time");
        assert!(kept(".+1").is_none(), "not used since");
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_not_kept() {
        assert!(evaluate(".[", "1").is_err());
        assert!(check("nope").is_err());
        assert_eq!(KEPT.with_borrow(Vec::len), 0);
        assert!(check(".a").is_ok());
        assert_eq!(KEPT.with_borrow(Vec::len), 1);
    }
}
