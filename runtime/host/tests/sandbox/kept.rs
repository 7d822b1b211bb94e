//! What adapters ask to have kept, with the adapter of Amazon SNS and a vendor that counts who calls.

use std::path::Path;
use std::sync::{Arc, Mutex};

use camshaft_model::json;
use camshaft_model::plugin::Grant;
use camshaft_model::seams::{Plugins, Receipt, Refusal};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{World, delivery, shipped};

/// What a vendor is asked, and the head of its answers.
struct Vendor {
    world: World,
    asked: Arc<Mutex<Vec<String>>>,
    head: Arc<Mutex<&'static str>>,
}

fn file(name: &str) -> Vec<u8> {
    let host = std::env::var("CARGO_MANIFEST_DIR").expect("cargo runs the tests");
    std::fs::read(Path::new(&host).join("../../plugins/adapters/aws-sns").join(name)).unwrap()
}

const OK: &str = "HTTP/1.1 200 OK\r\n";
const AN_HOUR_MS: u64 = 3_600_000;

impl Vendor {
    fn new() -> Self {
        let (asked, head) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(OK)));
        let (told, answers) = (asked.clone(), head.clone());
        let world = World::with_stand_in(Arc::new(move |_| {
            let (ours, mut theirs) = tokio::io::duplex(64 << 10);
            let (told, head) = (told.clone(), *answers.lock().unwrap());
            tokio::spawn(async move {
                let mut question = Vec::new();
                while !question.ends_with(b"\r\n\r\n") {
                    question.push(theirs.read_u8().await.unwrap());
                }
                let question = String::from_utf8(question).unwrap();
                let url = question.split(' ').nth(1).unwrap().split('?').next().unwrap().to_owned();
                let body = if url.ends_with(".pem") { file("keys/certificate.pem") } else { b"confirmed".to_vec() };
                told.lock().unwrap().push(url);
                let head = format!("{head}content-length: {}\r\n\r\n", body.len());
                theirs.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
            });
            ours
        }));
        let vendor = Self { world, asked, head };
        vendor.grant("https://sns.*.amazonaws.com");
        vendor
    }

    fn grant(&self, host: &str) {
        self.world.grant(Grant { hosts: vec![host.to_owned()], ..Grant::default() });
    }

    /// What the adapter makes of one of its golden cases, this much later.
    async fn receive(&self, case: &str, later_ms: u64) -> Result<Receipt, Refusal> {
        let case: Value = serde_json::from_slice(&file(&format!("cases/{case}.json"))).unwrap();
        let mut config = case["config"].clone();
        config["tolerance"] = json!(100_000_000);
        let request = &case["request"];
        let received_at_ms = request["received_at"].as_u64().unwrap() + later_ms;
        let integration = self.world.integration(shipped("aws-sns"), config, &[]);
        self.world.host.receive(&integration, &delivery(&[], request["body"].as_str().unwrap(), received_at_ms)).await
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

const CERTIFICATE: &str = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem";
const LINK: &str = "https://sns.eu-west-1.amazonaws.com/";

#[tokio::test]
async fn a_certificate_is_fetched_once_an_hour() {
    let vendor = Vendor::new();
    for later_ms in [0, 1, AN_HOUR_MS - 1000] {
        assert!(vendor.receive("notification", later_ms).await.is_ok(), "{later_ms}");
    }
    assert_eq!(vendor.asked(), [CERTIFICATE]);
    assert!(vendor.receive("notification", AN_HOUR_MS + 1000).await.is_ok());
    assert_eq!(vendor.asked(), [CERTIFICATE]);
    // What is kept is not what was valid: it is verified with all the same.
    assert!(matches!(vendor.receive("changed", AN_HOUR_MS + 1000).await, Err(Refusal::Unauthorized(_))));
    assert_eq!(vendor.asked(), [""; 0]);
}

#[tokio::test]
async fn a_subscription_is_confirmed_each_time() {
    let vendor = Vendor::new();
    // Even where the vendor says that its answer may be kept.
    *vendor.head.lock().unwrap() = "HTTP/1.1 200 OK\r\ncache-control: max-age=86400, immutable\r\n";
    for _ in 0..2 {
        assert!(vendor.receive("subscription", 0).await.unwrap().respond.is_some());
    }
    assert_eq!(vendor.asked(), [CERTIFICATE, LINK, LINK]);
}

#[tokio::test]
async fn a_vendor_that_forbids_it_or_fails_is_asked_each_time() {
    for (head, taken) in [
        ("HTTP/1.1 200 OK\r\ncache-control: no-store\r\n", true),
        ("HTTP/1.1 404 Not Found\r\ncache-control: max-age=60\r\n", false),
        ("HTTP/1.1 503 Busy\r\n", false),
    ] {
        let vendor = Vendor::new();
        *vendor.head.lock().unwrap() = head;
        for _ in 0..2 {
            assert_eq!(vendor.receive("notification", 0).await.is_ok(), taken, "{head}");
        }
        assert_eq!(vendor.asked(), [CERTIFICATE, CERTIFICATE], "{head}");
        *vendor.head.lock().unwrap() = OK;
        assert!(vendor.receive("notification", 0).await.is_ok(), "{head}");
    }
}

#[tokio::test]
async fn what_is_kept_is_given_to_nobody_who_may_not_fetch_it() {
    let vendor = Vendor::new();
    assert!(vendor.receive("notification", 0).await.is_ok());
    vendor.grant("https://other.example.com");
    let refused = vendor.receive("notification", 0).await;
    assert!(matches!(&refused, Err(Refusal::Unavailable(why)) if why.contains("not granted")), "{refused:?}");
}
