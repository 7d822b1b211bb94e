// Deliveries that the vendors' own JavaScript libraries have signed, or verify, one JSON object a line, as `vendors.py` writes them.
//
//     node vendors.mjs where/the/libraries/are

import { createHmac, createSign } from "node:crypto";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import assert from "node:assert";
import https from "node:https";
import path from "node:path";
import { Readable } from "node:stream";

const folder = path.resolve(process.argv[2]);
const require = createRequire(path.join(folder, "package.json"));
const load = (name) => import(pathToFileURL(require.resolve(name)));
const version = (name) =>
  JSON.parse(readFileSync(path.join(folder, "node_modules", name, "package.json"), "utf8")).version;

const MILLISECONDS = 1767225600000;
// Some verifiers look at the clock themselves.
Date.now = () => MILLISECONDS;
const SECRETS = ["s3cret", "it's a \"secret\" of ümlauts & +/="];
const NOTES = ["plain", "Grüße, 你好, 🙂", "tab\t quote\" slash/ back\\ \u2028", "x".repeat(2000)];

function* bodies(fields) {
  for (const note of NOTES) {
    yield JSON.stringify({ ...fields, note });
    yield JSON.stringify({ ...fields, note }, null, 2).replaceAll("\n", "\r\n");
  }
  yield "\ufeff" + JSON.stringify(fields);
}

function line(adapter, library, secret, headers, body) {
  const request = { headers, received_at: MILLISECONDS, body };
  const known = { adapter, library, version: version(library), secret: ["signing_secret", secret] };
  console.log(JSON.stringify({ ...known, request }));
}

async function github() {
  const name = "@octokit/webhooks-methods";
  const { sign, verify } = await import(pathToFileURL(path.join(folder, "node_modules", name, "dist-node/index.js")));
  for (const secret of SECRETS) {
    for (const body of bodies({ action: "opened" })) {
      const signature = await sign(secret, body);
      assert(await verify(secret, body, signature));
      const headers = { "X-Hub-Signature-256": signature, "X-GitHub-Event": "issues", "X-GitHub-Delivery": "d-1" };
      line("github", name, secret, headers, body);
    }
  }
}

async function linear() {
  const { LinearWebhookClient } = await load("@linear/sdk/webhooks");
  for (const secret of SECRETS) {
    const client = new LinearWebhookClient(secret);
    for (const body of bodies({ type: "Issue", action: "create", webhookTimestamp: MILLISECONDS })) {
      // Linear's library reads no JSON behind a byte order mark.
      if (body.startsWith("\ufeff")) continue;
      const signature = createHmac("sha256", secret).update(body).digest("hex");
      assert(client.verify(Buffer.from(body), signature));
      assert.throws(() => client.verify(Buffer.from(body + " "), signature));
      line("linear", "@linear/sdk", secret, { "Linear-Signature": signature, "Linear-Delivery": "d-1" }, body);
    }
  }
}

async function shopify() {
  await load("@shopify/shopify-api/adapters/node");
  const { shopifyApi, LogSeverity } = await load("@shopify/shopify-api");
  for (const apiSecretKey of SECRETS) {
    const app = { apiKey: "key", apiSecretKey, apiVersion: "2026-01", hostName: "camshaft.example", isEmbeddedApp: false };
    const api = shopifyApi({ ...app, logger: { level: LogSeverity.Error, log: () => {} } });
    for (const body of bodies({ id: 1 })) {
      const signature = createHmac("sha256", apiSecretKey).update(body).digest("base64");
      const headers = {
        "X-Shopify-Hmac-Sha256": signature,
        "X-Shopify-Topic": "orders/create",
        "X-Shopify-Shop-Domain": "johns-apparel.myshopify.com",
        "X-Shopify-API-Version": "2026-01",
        "X-Shopify-Webhook-Id": "w-1",
      };
      const valid = async (rawBody) =>
        (await api.webhooks.validate({ rawBody, rawRequest: { method: "POST", url: "/", headers } })).valid;
      assert(await valid(body));
      assert(!(await valid(body + " ")));
      line("shopify", "@shopify/shopify-api", apiSecretKey, headers, body);
    }
  }
}

async function zoom() {
  const name = "@zoom/rivet";
  const { AwsLambdaReceiver } = await import(pathToFileURL(path.join(folder, "node_modules", name, "meetings/meetings.mjs")));
  // It tells the console of every delivery.
  console.debug = () => {};
  for (const webhooksSecretToken of SECRETS) {
    const receive = new AwsLambdaReceiver({ webhooksSecretToken }).start();
    for (const body of bodies({ event: "meeting.started", event_ts: MILLISECONDS, payload: { account_id: "a" } })) {
      // Zoom's library verifies what it has read and written again.
      if (body.startsWith("\ufeff") || JSON.stringify(JSON.parse(body)) !== body) continue;
      const time = String(MILLISECONDS / 1000);
      const signature = createHmac("sha256", webhooksSecretToken).update(`v0:${time}:${body}`).digest("hex");
      const headers = { "x-zm-request-timestamp": time, "x-zm-signature": `v0=${signature}` };
      assert.equal((await receive({ body, headers })).statusCode, 200);
      assert.equal((await receive({ body: body.replace("meeting", "Meeting"), headers })).statusCode, 400);
      line("zoom", name, webhooksSecretToken, headers, body);
    }
  }
}

// AWS signs with a key of its own, so the message, and not a secret, is what the validator takes.
async function awsSns() {
  const name = "sns-validator";
  const keys = path.join(import.meta.dirname, "../../plugins/adapters/aws-sns/keys");
  const read = (file) => readFileSync(path.join(keys, file), "utf8");
  const certificate = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem";
  https.get = (url, answer) => {
    assert.equal(url, certificate);
    answer(Object.assign(Readable.from([Buffer.from(read("certificate.pem"))]), { statusCode: 200 }));
    return { on() {} };
  };
  const validator = new (require(name))();
  const valid = (message) => new Promise((done) => validator.validate(message, (error) => done(!error)));
  const topic = "arn:aws:sns:eu-west-1:123456789012:orders";
  const common = { TopicArn: topic, Timestamp: "2026-01-01T00:00:00.000Z", SigningCertURL: certificate };
  const link = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=t-1";
  const messages = NOTES.flatMap((Message) => [
    { Type: "Notification", MessageId: "m-1", Subject: "Grüße", Message, ...common },
    { Type: "Notification", MessageId: "m-2", Message: JSON.stringify({ Message }), ...common },
    { Type: "SubscriptionConfirmation", MessageId: "m-3", Token: "t-1", SubscribeURL: link, Message, ...common },
  ]);
  for (const [SignatureVersion, algorithm] of [["1", "RSA-SHA1"], ["2", "RSA-SHA256"]]) {
    for (const message of messages) {
      const signed = ["Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"];
      const text = signed.filter((key) => key in message).map((key) => `${key}\n${message[key]}\n`).join("");
      const Signature = createSign(algorithm).update(text).sign(read("signing-key.pem"), "base64");
      const whole = { ...message, SignatureVersion, Signature };
      assert(await valid(whole));
      assert(!(await valid({ ...whole, Message: message.Message + " " })));
      const http = [{ request: { method: "GET", url: certificate }, answer: { body_file: "keys/certificate.pem" } }];
      const request = { headers: {}, received_at: MILLISECONDS, body: JSON.stringify(whole, null, 2) };
      const config = { topics: [topic], confirm: false };
      console.log(JSON.stringify({ adapter: "aws-sns", library: name, version: version(name), config, http, request }));
    }
  }
}

await github();
await linear();
await shopify();
await zoom();
await awsSns();
