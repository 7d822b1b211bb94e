//! Random workflow documents of all kinds of steps, three blocks deep at most; the same for the same seed.
//!
//! A **calm** program comes to the same end in whatever order its calls return: what runs beside something else cannot fail out
//! of it, exit, or write what others read, and nothing hangs on a race with a clock. A **wild** one may do anything.
//!
//! What becomes of a step is in its id: `ok…` goes well, `ko…` may fail.

use camshaft_model::{Map, Value, json};

/// Numbers that look like chance (splitmix64).
pub struct Chance(pub u64);

impl Chance {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Less than `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

pub fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number of a text.
pub fn hash(seed: u64, text: &str) -> u64 {
    text.bytes().fold(mix(seed), |sum, byte| mix(sum ^ u64::from(byte)))
}

/// What a step may do where it stands.
#[derive(Clone)]
struct Place {
    depth: usize,
    may_fail: bool,
    may_exit: bool,
    /// Whether something else runs beside it.
    is_shared: bool,
    /// Whether it may take time; locks that others wait for may not.
    may_take_time: bool,
    in_loop: bool,
    /// Locks around it; only later ones are taken inside, so that nobody waits for each other.
    locks: usize,
    visible: Vec<String>,
}

impl Place {
    fn inside(&self) -> Self {
        Self { depth: self.depth + 1, ..self.clone() }
    }

    fn beside(&self, wild: bool) -> Self {
        Self { may_fail: wild, may_exit: wild && self.may_exit, is_shared: true, ..self.inside() }
    }
}

pub struct Generator {
    chance: Chance,
    wild: bool,
    steps: usize,
    left: usize,
}

/// A document, and whether it is wild.
pub fn document(seed: u64) -> (String, bool) {
    let mut chance = Chance(seed);
    let wild = chance.one_in(2);
    let left = 6 + chance.below(30);
    let mut generator = Generator { chance, wild, steps: 0, left };
    let place = Place {
        depth: 0,
        may_fail: true,
        may_exit: true,
        is_shared: false,
        may_take_time: true,
        in_loop: false,
        locks: 0,
        visible: vec![],
    };
    let mut steps = generator.block(&place, 6);
    // What is read may be overwritten anywhere, and is there from the beginning.
    steps.as_array_mut().expect("a block is a list").insert(0, json!({"set": {"a": 0}}));
    (json!({"name": "random", "limits": {"timeout": "60d"}, "steps": steps}).to_string(), wild)
}

/// `$.event.body`: what the conditions of all documents look at.
pub fn event() -> Value {
    json!({"body": {"items": [1, 2, 3], "few": ["a"], "none": [], "yes": true, "no": false, "word": "one"}})
}

impl Generator {
    fn block(&mut self, place: &Place, most: usize) -> Value {
        let mut place = place.clone();
        let mut steps = Vec::new();
        // Seldom none, for an empty block is a block too.
        let count = if place.depth > 0 && self.chance.one_in(8) { 0 } else { 1 + self.chance.below(most) };
        for _ in 0..count {
            if self.left == 0 && !steps.is_empty() {
                break;
            }
            self.left = self.left.saturating_sub(1);
            let (step, ends) = self.step(&mut place);
            steps.push(step);
            if ends {
                break;
            }
        }
        Value::Array(steps)
    }

    fn id(&mut self, goes_well: bool) -> String {
        self.steps += 1;
        format!("{}{}", if goes_well { "ok" } else { "ko" }, self.steps)
    }

    fn value(&mut self, place: &Place) -> Value {
        let read = match self.chance.below(5) {
            0 if place.in_loop => "$.index".to_owned(),
            1 if !place.is_shared || self.wild => "$.vars.a".to_owned(),
            2 | 3 if !place.visible.is_empty() => {
                format!("$.steps.{}", place.visible[self.chance.below(place.visible.len())])
            }
            _ => return json!(self.chance.below(100)),
        };
        json!(format!("{{{{ {read} }}}}"))
    }

    fn condition(&mut self, place: &Place) -> String {
        match self.chance.below(4) {
            0 => "$.event.body.yes".to_owned(),
            1 => "$.event.body.no".to_owned(),
            2 if place.in_loop => "$.index == 1".to_owned(),
            _ if !place.visible.is_empty() => {
                format!("$.steps.{} != null", place.visible[self.chance.below(place.visible.len())])
            }
            _ => "$.event.body.word == \"one\"".to_owned(),
        }
    }

    fn step(&mut self, place: &mut Place) -> (Value, bool) {
        let goes_well = !place.may_fail || !self.chance.one_in(3);
        let id = self.id(goes_well);
        let kinds = if place.depth < 3 { 17 } else { 10 };
        let kind = self.chance.below(kinds);
        let mut step = self.kind(kind, &id, goes_well, place);
        let is_exit = step.contains_key("exit");
        step.insert("id".into(), json!(id));
        if self.chance.one_in(8) && !is_exit {
            step.insert("when".into(), json!(self.condition(place)));
        }
        let is_task = step.contains_key("task");
        if self.chance.one_in(4) && place.may_take_time {
            step.insert(
                "retry".into(),
                json!({"attempts": 2 + self.chance.below(2), "first": "1h", "jitter": false,
                "on": ["failed", "unavailable", "rejected"]}),
            );
        }
        if self.wild && self.chance.one_in(6) {
            step.insert("timeout".into(), json!(["30m", "1h", "3h"][self.chance.below(3)]));
        }
        if self.wild && is_task && self.chance.one_in(8) {
            step.insert("repeat".into(), json!("never"));
        }
        if self.chance.one_in(6) {
            step.insert("on_error".into(), json!("continue"));
        }
        let ends = is_exit && !step.contains_key("on_error");
        place.visible.push(id);
        (Value::Object(step), ends)
    }

    fn kind(&mut self, kind: usize, id: &str, goes_well: bool, place: &Place) -> Map<String, Value> {
        let value = self.value(place);
        let step = match kind {
            3 if !place.is_shared || self.wild => json!({"set": {"a": value}}),
            4 if place.may_take_time => match self.chance.below(3) {
                0 => json!({"wait": "1h"}),
                1 => json!({"wait": {"until": "1970-01-12T18:46:40Z"}}),
                _ => json!({"wait": "2h"}),
            },
            5 if place.may_fail && place.may_take_time && (!place.is_shared || self.wild) => {
                let topic = ["out", "own"][self.chance.below(2)];
                let mut event = json!({"topic": topic});
                if self.chance.one_in(2) {
                    event["match"] = json!("$.received.data != 1");
                }
                json!({"wait": {"event": event, "timeout": "2h"}})
            }
            6 if place.may_take_time => json!({"approval": {"ask": value, "timeout": "2h"}}),
            7 => {
                json!({"workflow": "child", "with": {"id": id, "fails": !goes_well, "value": value}, "wait": !self.chance.one_in(3)})
            }
            8 if !place.is_shared || self.wild => json!({"emit": {"type": "t", "topic": "own", "data": value}}),
            9 if place.may_exit && self.chance.one_in(3) => {
                let mut exit = json!({"body": value});
                if self.chance.one_in(4) {
                    exit["run"] = json!("failed");
                }
                json!({"exit": exit})
            }
            10 => {
                let (then, otherwise) = (self.block(&place.inside(), 2), self.block(&place.inside(), 2));
                json!({"if": self.condition(place), "then": then, "else": otherwise})
            }
            11 => {
                let (one, rest) = (self.block(&place.inside(), 2), self.block(&place.inside(), 2));
                json!({"switch": "$.event.body.word", "cases": {(["one", "two"][self.chance.below(2)]): one}, "default": rest})
            }
            12 => {
                let concurrency = 1 + self.chance.below(3);
                let mut inner = if concurrency > 1 { place.beside(self.wild) } else { place.inside() };
                inner.in_loop = true;
                let items = if self.wild && self.chance.one_in(8) {
                    "word"
                } else {
                    ["items", "few", "none"][self.chance.below(3)]
                };
                let mut step = json!({"for_each": format!("$.event.body.{items}"), "as": format!("item_{id}"),
                    "concurrency": concurrency, "do": self.block(&inner, 3)});
                if self.chance.one_in(3) {
                    step["collect"] = json!("$.index");
                }
                step
            }
            13 => {
                let inner = Place { in_loop: true, ..place.inside() };
                let mut step = json!({"repeat": self.block(&inner, 3), "at_most": 1 + self.chance.below(3)});
                if self.chance.one_in(2) {
                    step["until"] =
                        json!(if place.may_fail && self.chance.one_in(4) { "$.event.body.no" } else { "$.index == 0" });
                }
                if place.may_take_time && self.chance.one_in(3) {
                    step["every"] = json!("1h");
                }
                step
            }
            14 => {
                let inner = place.beside(self.wild);
                let mut branches = Map::new();
                for name in ["a", "b", "c"].iter().take(1 + self.chance.below(3)) {
                    branches.insert((*name).to_owned(), self.block(&inner, 3));
                }
                let join = if self.wild && self.chance.one_in(2) { "any" } else { "all" };
                json!({"parallel": branches, "join": join})
            }
            15 => {
                let has_catch = !self.chance.one_in(3);
                let body = Place { may_fail: place.may_fail || has_catch, ..place.inside() };
                let mut step = json!({"try": self.block(&body, 3)});
                if has_catch {
                    step["catch"] = self.block(&place.inside(), 2);
                }
                if !has_catch || self.chance.one_in(2) {
                    step["finally"] = self.block(&place.inside(), 2);
                }
                step
            }
            16 if place.locks < 3 => {
                let mut inner = place.inside();
                // Where others stand in line, how long it is held would change when they go on.
                inner.may_take_time &= !place.is_shared || self.wild;
                inner.locks += 1;
                let key = if self.wild { self.chance.below(3) } else { place.locks };
                let mut lock = json!({"key": format!("k{key}")});
                if self.wild {
                    lock["timeout"] = json!("1h");
                }
                json!({"lock": lock, "do": self.block(&inner, 3)})
            }
            _ => json!({"task": (["silent", "observable"][self.chance.below(2)]), "with": {"value": value}}),
        };
        match step {
            Value::Object(step) => step,
            _ => unreachable!("every step is an object"),
        }
    }
}
