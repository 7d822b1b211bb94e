//! The `schedule` trigger of a document.

use std::time::Duration;

use serde_json::{Map, Value};

use super::diagnose::Mark;
use super::document::{Content, Key, Node};
use super::faults::{Faults, get, nearest};
use super::scalars::{count, duration, name};
use crate::limits;
use crate::schedule::{Fold, Gap, Missed, Overlap, Pattern, Schedule, Timing, Zone};
use crate::workflow::Param;

/// What says when; exactly one of them stands there.
const TIMINGS: [&str; 3] = ["cron", "at", "every"];
/// Keys of a schedule by the wall clock.
const KEYS: [&str; 10] =
    ["cron", "at", "timezone", "gap", "fold", "missed", "overlap", "jitter", "params", "integration"];
/// Keys of a schedule that looks at no wall clock.
const EVERY_KEYS: [&str; 6] = ["every", "missed", "overlap", "jitter", "params", "integration"];

/// Reads a schedule of a workflow with these parameters.
pub(crate) fn read(faults: &mut Faults, key: &Key, node: &Node, params: &[Param]) -> Option<Schedule> {
    let entries = faults.map(node, "`schedule`")?;
    let found: Vec<_> = TIMINGS.into_iter().filter(|timing| get(entries, timing).is_some()).collect();
    let by_interval = found == ["every"];
    if by_interval {
        faults.keys(entries, "a `schedule` with `every`", &EVERY_KEYS);
    } else {
        let all: Vec<_> = KEYS.into_iter().chain(["every"]).collect();
        faults.keys(entries, "`schedule`", &all);
    }
    let timing = match found[..] {
        [timing] => self::timing(faults, timing, get(entries, timing)?),
        [] => {
            faults.add(node.mark, "`schedule` does not say when: it has one of `cron`, `at` and `every`");
            None
        }
        [first, second, ..] => {
            faults.add(node.mark, format!("`schedule` has both `{first}` and `{second}`; it has one of them"));
            None
        }
    };
    let zone = get(entries, "timezone").map(|node| zone(faults, node));
    let gap = get(entries, "gap").map(|node| word(faults, node, "`gap`", &GAPS));
    let fold = get(entries, "fold").map(|node| word(faults, node, "`fold`", &FOLDS));
    let missed = get(entries, "missed").map(|node| missed(faults, node));
    let overlap = get(entries, "overlap").map(|node| word(faults, node, "`overlap`", &OVERLAPS));
    let jitter =
        get(entries, "jitter").map(|node| bounded(faults, node, "`jitter`", Duration::ZERO..=limits::JITTER_MAX));
    let integration = match get(entries, "integration") {
        Some(node) => name(faults, node).map(Some),
        None => Some(None),
    };
    if let (Some(node), Some(Some(Overlap::Queue)), Some(Some(integration))) =
        (get(entries, "overlap"), overlap, &integration)
    {
        let message = format!(
            "`overlap` is `queue`: one slow execution would hold up every other connection to `{integration}`; \
             write `skip`, `allow` or `cancel_previous`"
        );
        faults.add(node.mark, message);
    }
    let params = given(faults, key.mark, get(entries, "params"), params);
    Some(Schedule {
        zone: zone.unwrap_or(Some(Zone::default()))?,
        gap: gap.unwrap_or(Some(Gap::default()))?,
        fold: fold.unwrap_or(Some(Fold::default()))?,
        missed: missed.unwrap_or(Some(Missed::default()))?,
        overlap: overlap.unwrap_or(Some(Overlap::default()))?,
        jitter: jitter.unwrap_or(Some(Duration::ZERO))?,
        params: params?,
        integration: integration?,
        ..Schedule::new(timing?)
    })
}

fn timing(faults: &mut Faults, which: &str, node: &Node) -> Option<Timing> {
    if which == "every" {
        return bounded(faults, node, "`every`", limits::EVERY_MIN..=limits::EVERY_MAX).map(Timing::Every);
    }
    let text = &faults.text(node, &format!("`{which}`"))?.text;
    let read = match which {
        "cron" => Timing::cron(text),
        _ => Timing::at(text),
    };
    read.map_err(|fault| faults.add(node.mark, fault)).ok()
}

fn zone(faults: &mut Faults, node: &Node) -> Option<Zone> {
    let name = &faults.text(node, "`timezone`")?.text;
    let zone = Zone::named(name);
    if zone.is_none() {
        let message =
            format!("`timezone` is `{name}`, which is no zone of the IANA database; write Europe/Berlin, UTC");
        faults.suggest(node.mark, message, Zone::nearest(name));
    }
    zone
}

const GAPS: [(&str, Gap); 2] = [("next", Gap::Next), ("skip", Gap::Skip)];
const FOLDS: [(&str, Fold); 2] = [("first", Fold::First), ("both", Fold::Both)];
const OVERLAPS: [(&str, Overlap); 4] = [
    ("skip", Overlap::Skip),
    ("queue", Overlap::Queue),
    ("allow", Overlap::Allow),
    ("cancel_previous", Overlap::CancelPrevious),
];

fn word<T: Copy>(faults: &mut Faults, node: &Node, what: &str, words: &[(&str, T)]) -> Option<T> {
    let found = &faults.text(node, what)?.text;
    let meant = words.iter().find(|(word, _)| word == found).map(|(_, meaning)| *meaning);
    if meant.is_none() {
        let allowed: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        faults.word(node.mark, what, found, &allowed);
    }
    meant
}

/// `latest`, `skip`, `all`, or `{ all: 10 }`.
fn missed(faults: &mut Faults, node: &Node) -> Option<Missed> {
    let Content::Map(entries) = &node.content else {
        let words = [("latest", Missed::Latest), ("all", Missed::All(limits::MISSED_DEFAULT)), ("skip", Missed::Skip)];
        return word(faults, node, "`missed`", &words);
    };
    faults.keys(entries, "`missed`", &["all"]);
    let Some(all) = get(entries, "all") else {
        faults.add(node.mark, "`missed` has no `all`, which says how many are made up for");
        return None;
    };
    let most = count(faults, all, "`missed.all`", limits::MISSED_MAX.into())?;
    u32::try_from(most).ok().map(Missed::All)
}

fn bounded(
    faults: &mut Faults,
    node: &Node,
    what: &str,
    bounds: std::ops::RangeInclusive<Duration>,
) -> Option<Duration> {
    let found = duration(faults, node, what)?;
    if bounds.contains(&found) {
        return Some(found);
    }
    let [least, most] = [*bounds.start(), *bounds.end()].map(humantime::format_duration);
    let rule =
        if bounds.start().is_zero() { format!("it is {most} at most") } else { format!("it is {least} to {most}") };
    faults.add(node.mark, format!("{what} is {}; {rule}", node.describe()));
    None
}

/// The parameters of a schedule, each of its type and none missing: nobody is there to be told when it fires.
fn given(faults: &mut Faults, mark: Mark, node: Option<&Node>, params: &[Param]) -> Option<Map<String, Value>> {
    let entries = match node {
        Some(node) => faults.map(node, "`params` of a schedule")?,
        None => &[],
    };
    let mut given = Map::new();
    let mut good = true;
    for (key, node) in entries {
        let value = node.to_value();
        match params.iter().find(|param| param.name == key.text) {
            Some(param) if param.kind.admits(&value) => {
                given.insert(key.text.clone(), value);
                continue;
            }
            Some(param) => {
                let message =
                    format!("parameter `{}` is a {}, found {}", key.text, param.kind.as_str(), node.describe());
                faults.add(node.mark, message);
            }
            None => {
                let message = format!("the workflow has no parameter `{}`", key.text);
                faults.suggest(key.mark, message, nearest(&key.text, params.iter().map(|param| param.name.as_str())));
            }
        }
        good = false;
    }
    let needed = params.iter().filter(|param| param.required && param.default.is_none());
    for param in needed.filter(|param| get(entries, &param.name).is_none()) {
        let message = format!(
            "a schedule brings the parameters that it says, and `{0}` is required; give it in `params: {{ {0}: … }}`, or a default",
            param.name
        );
        faults.add(mark, message);
        good = false;
    }
    good.then_some(given)
}

impl Timing {
    /// By a cron pattern; the error is a sentence for whoever wrote it.
    pub fn cron(text: &str) -> Result<Self, String> {
        let named =
            |fault| format!("`cron` is `{text}`: {fault}; write minute, hour, day, month and weekday: 0 9 * * MON-FRI");
        Pattern::parse(text).map(Self::Cron).map_err(named)
    }

    /// Once, at a wall time; the error is a sentence for whoever wrote it.
    pub fn at(text: &str) -> Result<Self, String> {
        if text.parse::<jiff::Timestamp>().is_ok() {
            return Err(format!("`at` is `{text}`, with an offset; write the wall time, and its `timezone`"));
        }
        let no_time = |_| format!("`at` is `{text}`, which is no wall time; write 2026-12-24T18:00:00");
        text.parse().map(Self::At).map_err(no_time)
    }
}
