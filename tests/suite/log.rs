//! The log, and a server whose log nobody takes.

use crate::support::server::Server;

#[test]
fn a_server_whose_log_cannot_be_written_answers_all_the_same() {
    for form in ["text", "json"] {
        let server = Server::start_unheard(&[("CAMSHAFT_LOG", form), ("CAMSHAFT_LOG_LEVEL", "debug")]);
        for _ in 0..3 {
            assert_eq!(server.send("GET", "/healthz", &[], b"").status, 200, "{form}");
            assert_eq!(server.send("POST", "/v1/webhooks/nobody", &[], b"{}").status, 404, "{form}");
        }
        assert!(server.terminate().success(), "{form}");
    }
}

/// Deliveries that are sent in vain.
const MANY: usize = 40;

#[test]
fn who_sends_again_and_again_in_vain_does_not_fill_the_log() {
    let server = Server::start();
    let shut = r#"{"adapter": "generic", "config": {"auth": {"header": "x-key"}}, "secrets": {"signing_secret": "s"}}"#;
    server.ok("PUT", "/api/v1/integrations/shut", shut);
    server.ok("PUT", "/api/v1/integrations/open", r#"{"adapter": "generic"}"#);
    let webhook = "webhook: { integration: open, when: '{{ error(\"no\") }}' }";
    server.publish("faulty", &format!("name: faulty\ntriggers: [ {{ {webhook} }} ]\nsteps: []\n"));
    for _ in 0..MANY {
        assert_eq!(server.send("POST", "/v1/webhooks/shut", &[], b"{}").status, 401);
        let again = [("Idempotency-Key", "again"), ("Content-Type", "application/json")];
        assert_eq!(server.send("POST", "/v1/webhooks/open", &again, b"{}").status, 200);
    }
    let triggers = server.ok("GET", "/api/v1/workflows/faulty/triggers", "");
    assert_eq!(triggers["items"][0]["failed"], MANY, "{triggers:#}");
    assert_eq!(server.ok("GET", "/api/v1/integrations/shut", "")["refused"], MANY);
    let log = server.log();
    for line in ["delivery refused", "`when` failed and counts as not holding"] {
        let told = log.matches(line).count();
        // Once a minute.
        assert!((1..MANY / 4).contains(&told), "{told} times `{line}`: {log}");
    }
}
