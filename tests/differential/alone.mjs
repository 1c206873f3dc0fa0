// Serves a built vinext Worker with its assets, and nothing in front of it. Prints its address and runs until standard input ends.
//
// node alone.mjs <node_modules with miniflare>, with the Worker as JSON on the first line of standard input: what
// BuildService.to_wire returns.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const { Miniflare } = await import(pathToFileURL(createRequire(`${process.argv[2]}/`).resolve("miniflare")));

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const service = JSON.parse((await lines.next()).value);
const modules = await Promise.all(
  service.modules.map(async ([type, file]) => ({ type, path: file, contents: await readFile(file) })),
);

const miniflare = new Miniflare({
  cf: false,
  workers: [
    {
      name: "alone",
      modules,
      modulesRoot: service.root,
      compatibilityDate: service.compatibilityDate,
      compatibilityFlags: service.compatibilityFlags,
      bindings: service.variables,
      kvNamespaces: service.kvNamespaces,
      serviceBindings: Object.fromEntries(service.selfBindings.map((binding) => [binding, "alone"])),
      assets: service.assets,
      // As the Worker behind vinext-worker is asked: at a socket of its own, so that the request arrives as it was sent.
      unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
    },
  ],
});
await miniflare.ready;
console.log(JSON.stringify({ url: String(await miniflare.unsafeGetDirectURL("alone")).replace(/\/$/, "") }));

await lines.next();
await miniflare.dispose();
process.exit();
