// The interpreter: how it starts, in the upload and in an isolate, and what of the Workers runtime surrounds the project's code.

import * as cloudflareWorkers from "cloudflare:workers";
import * as cloudflareSockets from "cloudflare:sockets";
import { loadPyodide } from "./pyodide.mjs";
import createPyodideModule from "./pyodide.asm.mjs";
import entropySource from "./entropy.py";
import hostSource from "./host.py";
import { provide } from "./surroundings.mjs";

export const CODE = "/session/metadata";
export const VENDORED = `${CODE}/python_modules`;
const SITE_PACKAGES = "/lib/python3.14/site-packages";

/** Start the interpreter. From a snapshot this takes a second less; `prepare` is called before its heap is restored. */
export async function startPython({ wasm, standardLibrary }, settings, { prepare = () => {}, ...options } = {}) {
  provide(wasm, standardLibrary);
  const snapshotBytes = (await options._loadSnapshot)?.byteLength ?? 0;
  const pyodide = await loadPyodide({
    indexURL: "http://pyodide.invalid/",
    async createPyodideModule(given) {
      const module = withMemory(await createPyodideModule(given), snapshotBytes);
      prepare(module);
      return module;
    },
    lockFileContents: { info: settings.lockFileInfo, packages: {} },
    enableRunUntilComplete: true,
    env: { HOME: "/session", PYTHONHASHSEED: "111" },
    jsglobals: globalThis,
    stdout: (line) => console.log(line),
    stderr: (line) => console.error(line),
    ...options,
  });
  await pyodide._api.initializeNodeSockFS(cloudflareSockets.connect);
  pyodide.FS.mkdirTree(`/session${SITE_PACKAGES}`);
  pyodide.FS.mkdirTree("/usr/lib");
  pyodide.FS.chdir("/");
  // A snapshot contains the modules but no files. The lines of a traceback come from the file.
  pyodide.FS.writeFile(`${SITE_PACKAGES}/_cloudflare.py`, entropySource);
  return pyodide;
}

/** Give the module the memory that a snapshot takes; what it begins with is enough for small ones. */
function withMemory(module, bytes) {
  if (module.HEAP8.length < bytes) module.growMemory(bytes);
  return module;
}

/** Import this folder's Python modules, under names that no project has. */
export function addOwnModules(pyodide) {
  pyodide.runPython('__import__("_cloudflare")');
  const module = pyodide.runPython('import sys, types; sys.modules.setdefault("_vinext_host", types.ModuleType("_vinext_host"))');
  pyodide.runPython(hostSource, { globals: module.__dict__, filename: "host.py" });
}

const UNCHANGED = { atime: 0, mtime: 0, ctime: 0 };

/** Write the project's files, which nobody can change. */
export function writeProject(FS, files) {
  const folders = new Set([CODE]);
  FS.mkdirTree(CODE);
  for (const [path, bytes] of files) {
    const target = `${CODE}/${path}`;
    for (let folder = parent(target); !folders.has(folder); folder = parent(folder)) {
      FS.mkdirTree(folder);
      folders.add(folder);
    }
    // Not `FS.writeFile`, which looks the path up four times; there are hundreds of files.
    Object.assign(FS.create(target, 0o555), { contents: bytes, usedBytes: bytes.length, ...UNCHANGED });
  }
  for (const folder of folders) {
    FS.chmod(folder, 0o555);
    Object.assign(FS.lookupPath(folder).node, UNCHANGED);
  }
}

const parent = (path) => path.slice(0, path.lastIndexOf("/"));


const patchedContexts = new WeakSet();

/** Make `ctx.waitUntil` accept a Python awaitable, whose proxy must live until it has been awaited. */
function patchWaitUntil(context) {
  if (Object.prototype.toString.call(context) !== "[object ExecutionContext]" || patchedContexts.has(context)) return;
  const waitUntil = context.waitUntil.bind(context);
  context.waitUntil = (awaitable) => waitUntil(awaited(awaitable));
  patchedContexts.add(context);
}

/** As in the Workers runtime, nobody logs what the awaitable raises. */
async function awaited(awaitable) {
  const kept = "copy" in awaitable ? awaitable.copy() : awaitable;
  await kept;
  if ("destroy" in kept) kept.destroy();
}

/** Return the module that the SDK imports as `_pyodide_entrypoint_helper`. `importProxy` wraps each JavaScript module. */
export function entrypointHelper(env, importProxy = (_name, module) => module) {
  return {
    doAnImport: async (name) => importProxy(name, await import(name)),
    cloudflareWorkersModule: importProxy("cloudflare:workers", withEnv(cloudflareWorkers, env)),
    cloudflareSocketsModule: importProxy("cloudflare:sockets", cloudflareSockets),
    workerEntrypoint: cloudflareWorkers.WorkerEntrypoint,
    patchWaitUntil,
  };
}

/** Return the module with the bindings that the Python code sees. */
function withEnv(module, env) {
  return new Proxy(module, { get: (target, name) => (name === "env" ? env : target[name]) });
}
