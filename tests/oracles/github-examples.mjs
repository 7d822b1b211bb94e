// GitHub's example payloads, of github.com and of every Enterprise Server, as its own project publishes them: one JSON object a line,
// each once, compressed:
//
//     node github-examples.mjs where/the/package/is plugins/adapters/github/examples.jsonl.gz

import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import path from "node:path";

const [folder, out] = process.argv.slice(2);
const versions = path.join(folder, "node_modules/@octokit/webhooks-examples");
const folders = readdirSync(versions, { withFileTypes: true }).filter((entry) => entry.isDirectory());
const lines = folders.map(({ name }) => name).sort().flatMap((version) =>
  JSON.parse(readFileSync(path.join(versions, version, "index.json"), "utf8")).flatMap(({ name, examples }) =>
    examples.map((payload) => JSON.stringify({ event: name, payload })),
  ),
);
writeFileSync(out, gzipSync([...new Set(lines)].join("\n") + "\n", { level: 9 }));
