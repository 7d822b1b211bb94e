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
