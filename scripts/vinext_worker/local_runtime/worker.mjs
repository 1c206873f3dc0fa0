// The Worker that runs a Python Worker's code. It loads the Pyodide release of the production runtime inside workerd.
// It stands in for workerd's built-in Python support, which would download its own Pyodide bundle at the first start.
// Everything below `boot` mirrors what that support does around `Default.fetch`, so the project's code sees no difference.

import * as cloudflareWorkers from "cloudflare:workers";
import * as cloudflareSockets from "cloudflare:sockets";
import { loadPyodide } from "./pyodide.mjs";
import createPyodideModule from "./pyodide.asm.mjs";
import filesContents from "./files.bin";
import filesIndex from "./files.mjs";
import entropySource from "./entropy.py";
import hostSource from "./host.py";
import linesSource from "./lines.py";
import { answerControl, withFaults } from "./control.mjs";

const CODE = "/session/metadata";
const VENDORED = `${CODE}/python_modules`;
const SITE_PACKAGES = "/lib/python3.14/site-packages";

/** The bindings of the host itself, which `options.mjs` adds to the project's bindings. */
const {
  VINEXT_HOST: settings,
  VINEXT_HOST_EVAL: unsafeEval,
  VINEXT_HOST_PYODIDE: pyodideFiles,
  VINEXT_HOST_CACHE: cacheFiles,
  ...bindings
} = cloudflareWorkers.env;

/** The bindings that the Python code sees: the same object in every request, as in production. */
const visibleEnv = settings.faults ? withFaults(bindings) : bindings;

let booted;

/** Load Python and import the project's main module, once per isolate. */
function boot() {
  // A failed boot is kept: every request reports the same error until the sources change and the Worker is restarted.
  booted ??= load();
  return booted;
}

async function readFile(folder, name) {
  const response = await folder.fetch(`http://files/${name}`);
  if (!response.ok) throw new Error(`${name} cannot be read: status ${response.status}`);
  return await response.arrayBuffer();
}

/** Start the interpreter. From a snapshot this takes a second less. */
async function startPython(options) {
  const [wasm, standardLibrary] = await Promise.all(
    ["pyodide.asm.wasm", "python_stdlib.zip"].map((name) => readFile(pyodideFiles, name)),
  );
  return await duringBoot(unsafeEval.newWasmModule(wasm), standardLibrary, () =>
    loadPyodide({
      indexURL: "http://pyodide.invalid/",
      createPyodideModule,
      lockFileContents: { info: settings.lockFileInfo, packages: {} },
      enableRunUntilComplete: true,
      env: { HOME: "/session", PYTHONHASHSEED: "111" },
      stdout: (line) => console.log(line),
      stderr: (line) => console.error(line),
      ...options,
    }),
  );
}

/** Return a snapshot of an interpreter that has imported the modules of every Worker, and none of the project. */
async function makeSnapshot() {
  const pyodide = await startPython({ _makeSnapshot: true });
  pyodide.runPython(settings.preloaded.map((name) => `__import__("${name}")`).join("\n"));
  addOwnModules(pyodide);
  return pyodide.makeMemorySnapshot();
}

/** Import this folder's Python modules, under names that no project has. */
function addOwnModules(pyodide) {
  writeEntropy(pyodide);
  const module = pyodide.runPython(
    'import sys, types; sys.modules.setdefault("_vinext_host", types.ModuleType("_vinext_host"))',
  );
  pyodide.runPython(hostSource, { globals: module.__dict__, filename: "host.py" });
}

/** Also needed with a snapshot, for the lines in a traceback: a snapshot contains the module but no files. */
function writeEntropy(pyodide) {
  pyodide.FS.writeFile(`${SITE_PACKAGES}/_cloudflare.py`, entropySource);
}

async function load() {
  const pyodide = await startPython(settings.snapshot ? { _loadSnapshot: readFile(cacheFiles, settings.snapshot) } : {});
  if (settings.snapshot) writeEntropy(pyodide);
  else addOwnModules(pyodide);
  writeProject(pyodide.FS);
  pyodide.registerJsModule("_pyodide_entrypoint_helper", entrypointHelper());
  pyodide.registerJsModule("_cloudflare_compat_flags", settings.compatibilityFlags);

  if (settings.countsLines) countLines(pyodide);
  const host = pyodide.pyimport("_vinext_host");
  host.prepare_import_path(CODE, VENDORED);
  try {
    await host.import_main.callPromising(settings.mainModule, CODE, VENDORED, settings.checkTopLevel);
  } catch (error) {
    throw new Error(host.describe_import_error(), { cause: error });
  }
  // Keep one proxy of the function: each access to the attribute makes a new one.
  return host.handle;
}

/** Return what ran, as JSON; undefined where lines are not counted. */
let linesThatRan;

function countLines(pyodide) {
  const lines = pyodide.toPy({ __name__: "_vinext_lines" });
  pyodide.runPython(linesSource, { globals: lines, filename: "lines.py" });
  lines.get("count_lines")(CODE);
  linesThatRan = lines.get("lines_that_ran");
}

/** Write the project's files. The index has their names and sizes, in the order of their bytes. */
function writeProject(FS) {
  const folders = new Set();
  let end = 0;
  for (const [path, size] of filesIndex) {
    const target = `${CODE}/${path}`;
    const folder = target.slice(0, target.lastIndexOf("/"));
    if (!folders.has(folder)) FS.mkdirTree(folder);
    folders.add(folder);
    FS.writeFile(target, new Uint8Array(filesContents, end, size), { canOwn: true });
    end += size;
  }
}

/**
 * Run `action` with the globals that Pyodide's loader expects in a browser. There it fetches its files, compiles them while they
 * stream, and makes small WebAssembly modules from bytes. workerd allows none of this, but has the parts as modules.
 */
async function duringBoot(pyodideWasm, standardLibrary, action) {
  const { fetch, addEventListener, location } = globalThis;
  const { Module, instantiateStreaming } = WebAssembly;
  globalThis.location = "http://pyodide.invalid/";
  globalThis.addEventListener = () => {};
  globalThis.fetch = async (url) => new Response(String(url).endsWith(".zip") ? standardLibrary : null);
  WebAssembly.instantiateStreaming = async (_response, imports) => ({
    instance: await WebAssembly.instantiate(pyodideWasm, imports),
    module: pyodideWasm,
  });
  // A proxy instead of a function, so that `Module.customSections` and `instanceof` still work. It stays after the boot, because
  // Pyodide makes such a module for every new C signature.
  WebAssembly.Module = new Proxy(Module, {
    construct: (_target, [bytes]) => unsafeEval.newWasmModule(bytes),
  });
  try {
    return await action();
  } finally {
    Object.assign(globalThis, { fetch, addEventListener, location });
    WebAssembly.instantiateStreaming = instantiateStreaming;
  }
}

const patchedContexts = new WeakSet();

/** Make `ctx.waitUntil` accept a Python awaitable, whose proxy must live until it has been awaited. */
function patchWaitUntil(context) {
  if (patchedContexts.has(context)) return;
  const waitUntil = context.waitUntil.bind(context);
  context.waitUntil = (awaitable) => waitUntil(keepAlive(awaitable));
  patchedContexts.add(context);
}

async function keepAlive(awaitable) {
  const kept = typeof awaitable?.copy === "function" ? awaitable.copy() : awaitable;
  try {
    await kept;
  } catch (error) {
    console.error(`waitUntil: ${error?.stack ?? error}`);
  } finally {
    if (kept !== awaitable) kept.destroy();
  }
}

function entrypointHelper() {
  return {
    doAnImport: (name) => import(name),
    cloudflareWorkersModule: {
      ...cloudflareWorkers,
      env: visibleEnv,
      waitUntil: (awaitable) => cloudflareWorkers.waitUntil(keepAlive(awaitable)),
    },
    cloudflareSocketsModule: cloudflareSockets,
    workerEntrypoint: cloudflareWorkers.WorkerEntrypoint,
    patchWaitUntil,
  };
}

/** Answer a request with a new instance of the class `Default`, through its method `fetch`. */
async function handle(request, context) {
  const answer = await boot();
  try {
    return await answer.callWithOptions({ relaxed: true, promising: true }, request, visibleEnv, context);
  } catch (error) {
    console.error(error.message);
    throw error;
  }
}

export default {
  fetch: (request, _env, context) => handle(request, context),
};

/** The same Worker without the assets router in front of it; only the host's own sockets lead here. */
export class Direct extends cloudflareWorkers.WorkerEntrypoint {
  fetch(request) {
    return handle(request, this.ctx);
  }
}

/** The control of this isolate, for the host: it starts Python, reads and writes the key-value store, and makes bindings fail. */
export class Control extends cloudflareWorkers.WorkerEntrypoint {
  fetch(request) {
    return answerControl(request, { settings, bindings, boot, makeSnapshot, linesThatRan });
  }
}
