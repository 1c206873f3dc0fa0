// Serves a built vinext Worker from miniflare, with the KV binding VINEXT_CACHE. At another address, /markers is what is in that
// namespace, and /ask lets asker.mjs call the Worker through a service binding. Prints both addresses as one line of JSON and
// runs until its standard input ends.
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

const shared = { compatibilityDate: config.compatibility_date, compatibilityFlags: config.compatibility_flags };
const miniflare = new Miniflare({
  workers: [
    {
      ...shared,
      name: "pages",
      modules: modules.map((file) => ({ type: "ESModule", path: file })),
      modulesRoot: root,
      kvNamespaces: ["VINEXT_CACHE"],
    },
    {
      ...shared,
      name: "asker",
      modules: [{ type: "ESModule", path: path.join(import.meta.dirname, "asker.mjs") }],
      modulesRoot: import.meta.dirname,
      serviceBindings: { PAGES: "pages" },
    },
  ],
});
const pages = await miniflare.ready;

async function markers() {
  const namespace = await miniflare.getKVNamespace("VINEXT_CACHE", "pages");
  const { keys } = await namespace.list();
  return JSON.stringify(Object.fromEntries(await Promise.all(keys.map(async ({ name }) => [name, await namespace.get(name)]))));
}

async function ask(request) {
  const asker = await miniflare.getWorker("asker");
  const answer = await asker.fetch("http://asker/", { method: "POST", body: Buffer.concat(await request.toArray()) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(text);
  return text;
}

const backstage = createServer(async (request, response) => {
  try {
    response.end(await (request.url === "/ask" ? ask(request) : markers()));
  } catch (error) {
    response.writeHead(500).end(String(error.stack));
  }
});
backstage.listen(0, "127.0.0.1", () => {
  console.log(JSON.stringify({ pages, backstage: `http://127.0.0.1:${backstage.address().port}` }));
});

process.stdin.resume().on("end", async () => {
  await miniflare.dispose();
  process.exit();
});
