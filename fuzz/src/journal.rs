//! Any bytes as a row of the store: refused or read, and what is read is written and read again as the same. The first byte says
//! which row; for `e` the rest is the JSON of entries, so that what is made up gets past their compression.

use std::sync::Arc;

use camshaft_model::entry::Entry;
use camshaft_model::ids::Name;
use camshaft_model::invocation::DeliveryKey;
use camshaft_model::state::State;
use camshaft_store::codec;

pub(crate) fn run(input: &[u8]) {
    let Some((kind, row)) = input.split_first() else { return };
    match kind {
        b'e' => entries(&codec::pack(row)),
        b'r' => entries(row),
        b's' => {
            // A head that can be read says nothing of the rest.
            let _ = codec::read_summary_head(row);
            if let Ok(summary) = codec::read_summary(row) {
                let again = serde_json::to_vec(&summary).expect("a summary is JSON");
                assert_eq!(summary, serde_json::from_slice(&again).expect("what was written is readable"));
            }
        }
        b'd' => {
            let key = DeliveryKey { workspace: Name::new("w").expect("a name"), scope: "s".into(), id: "i".into() };
            if let Ok(delivery) = codec::read_delivery(key.clone(), row) {
                let again =
                    codec::read_delivery(key, &codec::delivery(&delivery)).expect("what was written is readable");
                assert_eq!(delivery, again);
            }
        }
        b'c' => {
            if let Ok(resource) = codec::read_resource(row) {
                let written = codec::resource(&resource).expect("what was read can be written");
                assert_eq!(resource, codec::read_resource(&written).expect("what was written is readable"));
            }
        }
        _ => {}
    }
}

fn entries(row: &[u8]) {
    let _ = codec::entries_count(row);
    let Ok(entries) = codec::read_entries(row) else { return };
    let entries: Vec<Arc<Entry>> = entries.into_iter().map(Arc::new).collect();
    let written = codec::entries(&entries).expect("what was read can be written");
    assert_eq!(codec::entries_count(&written).expect("it has a head"), entries.len() as u64);
    let again: Vec<_> =
        codec::read_entries(&written).expect("what was written is readable").into_iter().map(Arc::new).collect();
    assert_eq!(entries, again);
    // A journal that does not follow from itself is refused by name; it does not take the server down.
    let plain: Vec<Entry> = entries.iter().map(|entry| (**entry).clone()).collect();
    let _ = State::fold(&plain);
}
