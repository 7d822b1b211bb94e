//! Random documents: good ones of all kinds compile, and no heap of keys makes the compiler panic.

use camshaft_model::{Map, Value, json};
use proptest::prelude::*;

use super::diagnostics::check;
use super::documents::{KINDS, admit};

/// A step to be: its kind, which of its options it takes, and the blocks in it.
#[derive(Debug, Clone)]
struct Plant {
    kind: &'static str,
    options: u8,
    pick: usize,
    blocks: Vec<Vec<Plant>>,
}

fn plants() -> impl Strategy<Value = Vec<Plant>> {
    let plant = |blocks: BoxedStrategy<Vec<Vec<Plant>>>| {
        let parts = (prop::sample::select(KINDS.to_vec()), any::<u8>(), any::<usize>(), blocks);
        parts.prop_map(|(kind, options, pick, blocks)| Plant { kind, options, pick, blocks })
    };
    let leaf = plant(Just(vec![Vec::new(); 3]).boxed());
    let tree = leaf.prop_recursive(5, 40, 9, move |inner| {
        plant(prop::collection::vec(prop::collection::vec(inner, 0..4), 3).boxed())
    });
    prop::collection::vec(tree, 0..6)
}

/// Writes plants as steps, and knows what each of them can read.
#[derive(Default)]
struct Writer {
    /// Paths that can be read here.
    readable: Vec<String>,
    loops: usize,
    ids: usize,
}

impl Writer {
    fn block(&mut self, plants: &[Plant]) -> Value {
        let mut steps = Vec::new();
        for plant in plants {
            steps.push(self.step(plant));
            // Nothing comes behind an `exit` that is surely reached.
            let last = steps.last().and_then(Value::as_object);
            if last.is_some_and(|step| step.contains_key("exit") && !step.contains_key("when")) {
                break;
            }
        }
        steps.into()
    }

    /// A block whose steps nobody reads behind it.
    fn turn(
        &mut self,
        more: &[String],
        plants: &[Plant],
        read: impl FnOnce(&mut Self, &mut Map<String, Value>),
    ) -> Map<String, Value> {
        let readable = self.readable.len();
        self.readable.extend_from_slice(more);
        self.loops += 1;
        let mut turn = Map::new();
        turn.insert("do".to_owned(), self.block(plants));
        read(self, &mut turn);
        self.loops -= 1;
        self.readable.truncate(readable);
        turn
    }

    /// An expression: a path, or jq over one.
    fn read(&self, pick: usize) -> String {
        let path = match self.readable.len() {
            0 => "$.event.body",
            some => &self.readable[pick % some],
        };
        match pick % 4 {
            0 => format!("[{path}] | length"),
            1 => format!("{path} == 3 or {path}"),
            2 => format!("$ | [{path}]"),
            _ => path.to_owned(),
        }
    }

    fn hole(&self, pick: usize) -> String {
        let read = self.read(pick);
        if pick.is_multiple_of(2) { format!("{{{{ {read} }}}}") } else { format!("a {{{{{read}}}}} b") }
    }

    fn step(&mut self, plant: &Plant) -> Value {
        let (pick, take) = (plant.pick, |option: u8| plant.options & (1 << option) != 0);
        let mut step = Map::new();
        let mut put = |key: &str, value: Value| step.insert(key.to_owned(), value);
        let [first, second, third] = &plant.blocks[..] else { unreachable!("a plant has three blocks") };
        if take(4) {
            put("when", self.read(pick).into());
        }
        if take(5) {
            put("retry", json!({"attempts": 3, "on": ["rejected", "timeout"]}));
            put("timeout", "5m".into());
        }
        let id = take(6).then(|| {
            self.ids += 1;
            put("id", format!("s{}", self.ids).into());
            format!("$.steps.s{}", self.ids)
        });
        let hole = self.hole(pick);
        match plant.kind {
            "task" => {
                put("task", "echo@1".into());
                put("with", json!({"a": [hole, {"k": "{{ $.secrets.key }}"}]}));
                if take(0) {
                    put("repeat", "never".into());
                }
            }
            "if" => {
                put("if", self.read(pick).into());
                put("then", self.block(first));
                if take(0) {
                    put("else", self.block(second));
                }
            }
            "switch" => {
                put("switch", self.read(pick).into());
                put("cases", json!({"a": self.block(first), "b.c": self.block(second)}));
                put("default", self.block(third));
            }
            "for_each" => {
                put("for_each", self.read(pick).into());
                let item = if take(0) || self.loops > 0 { format!("item{}", self.loops) } else { "item".to_owned() };
                if item != "item" {
                    put("as", item.clone().into());
                }
                let more = ["$.index".to_owned(), format!("$.{item}")];
                let turn = self.turn(&more, first, |this, turn| {
                    if take(1) {
                        turn.insert("collect".to_owned(), this.read(pick).into());
                    }
                });
                step.extend(turn);
            }
            "repeat" => {
                let mut turn = self.turn(&["$.index".to_owned()], first, |this, turn| {
                    if take(1) {
                        turn.insert("until".to_owned(), this.read(pick).into());
                    } else {
                        turn.insert("at_most".to_owned(), (pick % 100 + 1).into());
                    }
                });
                let body = turn.shift_remove("do").unwrap_or_default();
                step.insert("repeat".to_owned(), body);
                step.extend(turn);
            }
            "parallel" => {
                let before = self.readable.len();
                let mut over = Vec::new();
                let branches: Map<_, _> = ["left", "right"]
                    .into_iter()
                    .zip([first, second])
                    .map(|(name, branch)| {
                        let branch = self.block(branch);
                        over.extend(self.readable.drain(before..));
                        (name.to_owned(), branch)
                    })
                    .collect();
                self.readable.extend(over);
                put("parallel", branches.into());
                put("join", if take(0) { "any" } else { "all" }.into());
            }
            "try" => {
                put("try", self.block(first));
                if take(0) {
                    self.readable.insert(0, "$.error".to_owned());
                    put("catch", self.block(second));
                    self.readable.remove(0);
                }
                if take(1) || !take(0) {
                    put("finally", self.block(third));
                }
            }
            "wait" => {
                put(
                    "wait",
                    match pick % 4 {
                        0 => json!("1h30m"),
                        1 => json!(hole),
                        2 => json!({"until": "2026-12-24T18:00:00+01:00"}),
                        _ => {
                            json!({"event": {"topic": "paid", "match": "[$.received.data] == [$.event.id]"}, "timeout": "2d"})
                        }
                    },
                );
            }
            "approval" => drop(put("approval", json!({"ask": hole, "of": ["ops"], "timeout": "2d"}))),
            "lock" => {
                put("lock", json!({"key": hole}));
                put("do", self.block(first));
            }
            "set" => drop(put("set", json!({"x": hole, "y": [1, null]}))),
            "workflow" => {
                put("workflow", "other".into());
                put("with", json!({"x": hole}));
                put("wait", take(0).into());
            }
            "emit" => drop(put("emit", json!({"type": "a.b", "subject": hole, "data": {"x": hole}}))),
            _ => drop(put("exit", json!({"status": 201, "body": hole}))),
        }
        self.readable.extend(id);
        step.into()
    }
}

/// Every key of the language, and some that are none.
const KEYS: [&str; 40] = [
    "task",
    "if",
    "switch",
    "for_each",
    "repeat",
    "parallel",
    "try",
    "wait",
    "approval",
    "lock",
    "set",
    "workflow",
    "emit",
    "exit",
    "with",
    "then",
    "else",
    "cases",
    "default",
    "as",
    "concurrency",
    "do",
    "collect",
    "until",
    "every",
    "at_most",
    "join",
    "catch",
    "finally",
    "event",
    "topic",
    "match",
    "timeout",
    "ask",
    "of",
    "key",
    "type",
    "data",
    "id",
    "jump",
];

/// Any value made of keys of the language, and of texts that mean something in it.
fn heaps() -> impl Strategy<Value = Value> {
    let texts = [
        "a",
        "a-b",
        "never",
        "any",
        "5m",
        "0s",
        "{{ $.index }}",
        "$.item",
        "$.error",
        "$.steps.a",
        "{{ $.secrets.k }}",
        "{{",
        "true",
        "[.a] | .item",
        "$.received.x",
        "2026-12-24T18:00:00Z",
        "",
    ];
    let leaf = prop_oneof![
        prop::sample::select(texts.to_vec()).prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        (-1i64..40_000_000).prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(8, 120, 6, |inner| {
        let key = prop::sample::select(KEYS.to_vec());
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..6).prop_map(|entries| entries
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect::<Map<_, _>>()
                .into()),
        ]
    })
}

proptest! {
    #[test]
    fn every_good_document_compiles_and_the_schema_admits_it(plants in plants()) {
        let steps = Writer::default().block(&plants);
        admit(&serde_norway::to_string(&json!({"name": "a", "steps": steps})).unwrap());
    }

    #[test]
    fn no_heap_of_keys_makes_it_panic(steps in prop::collection::vec(heaps(), 0..5), limits in heaps()) {
        check(&json!({"name": "a", "limits": limits, "steps": steps}).to_string());
    }
}
