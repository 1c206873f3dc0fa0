// Serves a built vinext Worker from miniflare, with the KV binding VINEXT_CACHE, and what is in that namespace at another
// address. Prints both addresses as one line of JSON and runs until its standard input ends.
//
// node serve.mjs <node_modules with miniflare> <wrangler.json of the build>
import { readFileSync, readdirSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [nodeModules, configPath] = process.argv.slice(2);
const { Miniflare } = await import(pathToFileURL(createRequire(`${nodeModules}/`).resolve("miniflare")));

const config = JSON.parse(readFileSync(configPath, "utf8"));
const root = path.dirname(configPath);
const main = path.join(root, config.main);
const modules = readdirSync(root, { recursive: true })
  .filter((file) => file.endsWith(".js"))
  .map((file) => path.join(root, file))
  .sort((one, other) => Number(other === main) - Number(one === main));

const miniflare = new Miniflare({
  modules: modules.map((file) => ({ type: "ESModule", path: file })),
  modulesRoot: root,
  compatibilityDate: config.compatibility_date,
  compatibilityFlags: config.compatibility_flags,
  kvNamespaces: ["VINEXT_CACHE"],
});
const pages = await miniflare.ready;

const markers = createServer(async (_request, response) => {
  const namespace = await miniflare.getKVNamespace("VINEXT_CACHE");
  const { keys } = await namespace.list();
  const entries = await Promise.all(keys.map(async ({ name }) => [name, await namespace.get(name)]));
  response.end(JSON.stringify(Object.fromEntries(entries)));
});
markers.listen(0, "127.0.0.1", () => {
  console.log(JSON.stringify({ pages, markers: `http://127.0.0.1:${markers.address().port}` }));
});

process.stdin.resume().on("end", async () => {
  await miniflare.dispose();
  process.exit();
});
