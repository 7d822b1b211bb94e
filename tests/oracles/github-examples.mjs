// GitHub's example payloads, as its own project publishes them, one JSON object a line, compressed:
//
//     node github-examples.mjs where/the/package/is plugins/adapters/github/examples.jsonl.gz

import { readFileSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import path from "node:path";

const [folder, out] = process.argv.slice(2);
const file = path.join(folder, "node_modules/@octokit/webhooks-examples/api.github.com/index.json");
const lines = JSON.parse(readFileSync(file, "utf8")).flatMap(({ name, examples }) =>
  examples.map((payload) => JSON.stringify({ event: name, payload })),
);
writeFileSync(out, gzipSync(lines.join("\n") + "\n", { level: 9 }));
