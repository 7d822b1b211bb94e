//! The trigger URLs. Anybody may call them, and an integration's id is an address in itself; so it is names that mean nothing in
//! another workspace, and workflows that another one's integration never starts.

use axum::body::Body;

use super::{BOTH, paths_of, two, within};

#[tokio::test]
async fn no_trigger_url_reaches_from_one_workspace_into_another() {
    for by in BOTH {
        let (bench, acme, _) = two().await;
        let before = within(&bench, "acme", "GET", "/api/v1/executions", "").await.is(200).text();
        let paths = paths_of(&camshaft_triggers::http::router(bench.app.triggers.clone()));
        assert!(!paths.is_empty());
        for path in &paths {
            let url = path.replace("{workspace}", "blue");
            // acme's integration, by its name elsewhere.
            let to = |name: &str| url.replace("{integration}", name).replace("{workflow}", "only-acme");
            let mut asked = vec![(to("only-acme"), to("only-nobody"))];
            if url.contains("{workflow}") {
                // acme's workflow, by an integration of blue's own.
                let url = url.replace("{integration}", "shop");
                asked.push((acme.there(&url, by), acme.not_there(&url, by)));
            }
            for (url, other) in asked {
                for method in ["POST", "GET", "PUT", "DELETE", "OPTIONS"] {
                    let ask = async |url: &str| {
                        let answer = bench.send(method, url, &[("x-signature", "s3cret")], Body::empty()).await;
                        (answer.status, acme.scrubbed(&answer.text()))
                    };
                    let (told, missing) = (ask(&url).await, ask(&other).await);
                    assert_eq!((told.0, &told), (404, &missing), "{method} {url}");
                }
            }
        }
        assert_eq!(within(&bench, "acme", "GET", "/api/v1/executions", "").await.is(200).text(), before);

        // Where they are called as they are meant, they start it.
        for path in paths.iter().filter(|path| path.contains("{workspace}") && !path.contains("sync")) {
            let url = acme.there(&path.replace("{integration}", "shop"), by);
            bench.send("POST", &url, &[("x-signature", "s3cret")], Body::empty()).await.is(200);
        }
    }
}
