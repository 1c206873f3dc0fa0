// Serves a built Worker from a workerd of its own, with the namespaces of its configuration in memory, on the Worker's own socket: no
// development proxy and no assets in front. Prints its address as one line of JSON and runs until its standard input ends.
//
// node serve.mjs <node_modules with miniflare> <wrangler.json of the build> [variables, as JSON] [a script in front of it]
//
// The script in front has the build behind the binding PAGES, and a namespace as KV.

import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const [nodeModules, configFile, variables = "{}", front] = process.argv.slice(2);
const { Miniflare } = createRequire(`${nodeModules}/`)("miniflare");

const config = JSON.parse(readFileSync(configFile, "utf8"));
const root = path.dirname(configFile);
const main = path.join(root, config.main);
const modules = readdirSync(root, { recursive: true })
  .filter((file) => /\.m?js$/.test(file))
  .map((file) => path.join(root, file))
  .sort((one, other) => Number(other === main) - Number(one === main));

const compatibility = { compatibilityDate: config.compatibility_date, compatibilityFlags: config.compatibility_flags };
const build = {
  name: config.name,
  modules: modules.map((file) => ({ type: "ESModule", path: file })),
  modulesRoot: root,
  ...compatibility,
  kvNamespaces: Object.fromEntries((config.kv_namespaces ?? []).map(({ binding, id }) => [binding, id])),
  serviceBindings: Object.fromEntries((config.services ?? []).map(({ binding, service }) => [binding, service])),
  bindings: JSON.parse(variables),
};
const inFront = front && {
  name: "front",
  modules: [{ type: "ESModule", path: front }],
  modulesRoot: path.dirname(front),
  ...compatibility,
  kvNamespaces: { KV: "front" },
  serviceBindings: { PAGES: config.name },
};
const [first, ...others] = [inFront, build].filter(Boolean);
const miniflare = new Miniflare({
  workers: [{ ...first, unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }] }, ...others],
  cf: false,
  // What the Worker logs is not of interest, and has to go somewhere.
  handleStructuredLogs: () => {},
});
await miniflare.ready;
console.log(JSON.stringify({ url: String(await miniflare.unsafeGetDirectURL(first.name, "default")) }));

process.stdin.resume().on("end", async () => {
  await miniflare.dispose();
  process.exit();
});
