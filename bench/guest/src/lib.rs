//! A `wasi:http` component that does the same work as the measured workflow: parse the body, answer with a status, a
//! header and a JSON body of its own. Stores nothing.
#![cfg(target_arch = "wasm32")]

use std::io::Read;

use serde_json::{Value, json};
use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

struct Bench;

wasip2::http::proxy::export!(Bench);

impl wasip2::exports::http::incoming_handler::Guest for Bench {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let body = request.consume().expect("a request has one body");
        let mut stream = body.stream().expect("a body has one stream");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("the body can be read");
        let order: Value = serde_json::from_slice(&bytes).expect("the load sends JSON");

        let headers = Fields::new();
        let id = order["id"].as_str().unwrap_or_default();
        headers.set("x-order", &[id.as_bytes().to_vec()]).expect("an id is a header value");
        headers.set("content-type", &[b"application/json".to_vec()]).expect("a content type is a header value");
        let response = OutgoingResponse::new(headers);
        response.set_status_code(201).expect("201 is a status");
        let answer = response.body().expect("a response has one body");
        ResponseOutparam::set(out, Ok(response));
        let text = json!({"order": order["id"], "lines": order["lines"]}).to_string();
        let stream = answer.write().expect("a body has one stream");
        for chunk in text.as_bytes().chunks(4096) {
            stream.blocking_write_and_flush(chunk).expect("the body can be written");
        }
        drop(stream);
        OutgoingBody::finish(answer, None).expect("the body is whole");
    }
}
