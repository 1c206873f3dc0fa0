// Makes the upload (`upload.mjs`) in a Worker that it loads, once for all isolates. The files of such a Worker are given when it is loaded,
// which is much quicker than as modules of workerd's configuration.

import { WorkerEntrypoint } from "cloudflare:workers";

/** The code of the loaded Worker, in this folder. */
const SCRIPTS = ["upload.mjs", "libraries.mjs", "packs.mjs", "python.mjs", "surroundings.mjs"];
const TEXTS = ["entropy.py", "host.py", "references.py", "clocks.py"];
const PYODIDE = ["pyodide.mjs", "pyodide.asm.mjs"];

/** So large may all modules of a loaded Worker be (workerd's MAX_DYNAMIC_WORKER_CODE_SIZE), and what is not counted here for sure less. */
const MAX_BYTES = 64 * 1024 * 1024;
const OTHER_BYTES = 2 * 1024 * 1024;

async function read(folder, name) {
  const response = await folder.fetch(`http://files/${name}`);
  if (!response.ok) throw new Error(`${name} cannot be read: status ${response.status}`);
  return response;
}

const text = async (folder, name) => await (await read(folder, name)).text();
const NO_DATA = { data: new ArrayBuffer(0) };
const data = async (folder, name) => ({ data: await (await read(folder, name)).arrayBuffer() });

async function modules({ VINEXT_HOST: { snapshot, surroundings }, OWN, PYODIDE: pyodide, CACHE, FILES }) {
  const named = async (names, module) => Promise.all(names.map(async (name) => [name, await module(name)]));
  const all = await Promise.all([
    named(SCRIPTS, async (name) => ({ js: await text(OWN, name) })),
    named(TEXTS, async (name) => ({ text: await text(OWN, name) })),
    named(PYODIDE, async (name) => ({ js: surroundings + (await text(pyodide, name)) })),
  ]);
  const wasm = await data(pyodide, "pyodide.asm.wasm");
  const standardLibrary = await data(pyodide, "python_stdlib.zip");
  const base = snapshot === null ? NO_DATA : await data(CACHE, snapshot);
  const files = await data(FILES, "files");
  const bytecode = await data(FILES, "bytecode");
  let room = MAX_BYTES - [wasm, standardLibrary, files].reduce((bytes, { data }) => bytes + data.byteLength, OTHER_BYTES);
  // A large site starts without it, seconds later.
  const ifItFits = (module) => {
    if (module.data.byteLength > room) return NO_DATA;
    room -= module.data.byteLength;
    return module;
  };
  return {
    ...Object.fromEntries(all.flat()),
    "pyodide.wasm.bin": wasm,
    "python_stdlib.bin": standardLibrary,
    "files.bin": files,
    "base.bin": ifItFits(base),
    "bytecode.bin": ifItFits(bytecode),
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
  const made = worker.getEntrypoint();
  const response = await made.fetch("http://upload/");
  if (response.ok) await keepBytecode(await made.fetch("http://upload/bytecode"), env);
  return { status: response.status, headers: response.headers, body: await response.arrayBuffer() };
}

/** Give the host what Python has compiled, if there is something. */
async function keepBytecode({ status, body }, { FILES }) {
  if (status === 200) await FILES.fetch("http://files/bytecode", { method: "POST", body });
}

/** Answers the isolates. */
export default {
  fetch() {
    return new Response(uploaded.body, uploaded);
  },
};

/** Answers the host, which makes the upload before the isolates start, and forgets it once they have. */
export class HostControl extends WorkerEntrypoint {
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
