// Makes the upload (`upload.mjs`) in a Worker that it loads, once for all isolates. The files of such a Worker are given when it is loaded,
// which is much quicker than as modules of workerd's configuration.

import { WorkerEntrypoint } from "cloudflare:workers";
import filesContents from "./files.bin";
import filesIndex from "./files.mjs";

/** The code of the loaded Worker, in this folder. */
const SCRIPTS = ["upload.mjs", "python.mjs", "surroundings.mjs"];
const TEXTS = ["entropy.py", "host.py", "references.py", "clocks.py"];
const PYODIDE = ["pyodide.mjs", "pyodide.asm.mjs"];

async function read(folder, name) {
  const response = await folder.fetch(`http://files/${name}`);
  if (!response.ok) throw new Error(`${name} cannot be read: status ${response.status}`);
  return response;
}

const text = async (folder, name) => await (await read(folder, name)).text();
const data = async (folder, name) => ({ data: await (await read(folder, name)).arrayBuffer() });

async function modules({ VINEXT_HOST: { snapshot, surroundings }, OWN, PYODIDE: pyodide, CACHE }) {
  const named = async (names, module) => Promise.all(names.map(async (name) => [name, await module(name)]));
  const all = await Promise.all([
    named(SCRIPTS, async (name) => ({ js: await text(OWN, name) })),
    named(TEXTS, async (name) => ({ text: await text(OWN, name) })),
    named(PYODIDE, async (name) => ({ js: surroundings + (await text(pyodide, name)) })),
  ]);
  return {
    ...Object.fromEntries(all.flat()),
    "pyodide.wasm.bin": await data(pyodide, "pyodide.asm.wasm"),
    "python_stdlib.bin": await data(pyodide, "python_stdlib.zip"),
    "base.bin": snapshot === null ? { data: new ArrayBuffer(0) } : await data(CACHE, snapshot),
    "files.bin": { data: filesContents },
    "files.mjs": { js: `export default ${JSON.stringify(filesIndex)};` },
  };
}

/** The result of the upload: a status, headers and the snapshot, or JSON with an error. */
let uploaded;

/** Load the Worker that makes the upload. It is not kept: its heap would be in memory twice. */
async function upload(env) {
  const { settings, variables, compatibilityDate, compatibilityFlags } = env.VINEXT_HOST;
  const worker = env.LOADER.load({
    compatibilityDate,
    compatibilityFlags,
    mainModule: "upload.mjs",
    modules: await modules(env),
    env: { ...variables, VINEXT_HOST: settings },
    globalOutbound: null,
  });
  const response = await worker.getEntrypoint().fetch("http://upload/");
  return { status: response.status, headers: response.headers, body: await response.arrayBuffer() };
}

/** Answers the isolates. */
export default {
  fetch() {
    return new Response(uploaded.body, uploaded);
  },
};

/** Answers the host, which makes the upload before the isolates start, and forgets it once they have. */
export class Control extends WorkerEntrypoint {
  async fetch(request) {
    const { VINEXT_HOST } = this.env;
    if (request.headers.get("Authorization") !== `Bearer ${VINEXT_HOST.token}`) return new Response(null, { status: 403 });
    const { action } = await request.json();
    try {
      uploaded = action === "upload" ? await upload(this.env) : undefined;
    } catch (error) {
      return Response.json({ error: `the Worker cannot be uploaded: ${error}` });
    }
    return uploaded === undefined || uploaded.status === 200 ? Response.json({}) : new Response(uploaded.body);
  }
}
