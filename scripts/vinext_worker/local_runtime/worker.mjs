// The Worker that runs a Python Worker's code. It loads the Pyodide release of the production runtime inside workerd.
// It stands in for workerd's built-in Python support, which would download its own Pyodide bundle at the first start.
// What it does for a request is what that support does, call by call, so that a request costs what it costs in production.

import * as cloudflareWorkers from "cloudflare:workers";
import filesContents from "./files.bin";
import filesIndex from "./files.mjs";
import linesSource from "./lines.py";
import { answerControl, withFaults } from "./control.mjs";
import { addOwnModules, CODE, entrypointHelper, startPython, VENDORED, writeProject } from "./python.mjs";

/** The bindings of the host itself, which `options.mjs` adds to the project's bindings. */
const {
  VINEXT_HOST: settings,
  VINEXT_HOST_EVAL: _unsafeEval,
  VINEXT_HOST_PYODIDE: pyodideFiles,
  VINEXT_HOST_CACHE: cacheFiles,
  VINEXT_HOST_UPLOAD: uploader,
  ...bindings
} = cloudflareWorkers.env;

delete process.env.VINEXT_HOST;

/** The bindings that the Python code sees: the same object in every request, as in production. */
const visibleEnv = settings.faults ? withFaults(bindings) : bindings;

/** How long a request waits for the host to start Python. */
const START_MILLISECONDS = 60_000;

/** What `boot` has led to: Python, or an error, which every request reports until the sources change and the Worker is restarted. */
let booted;

/** Start Python with the project's main module, once per isolate. The host asks for it, whose request nobody breaks off. */
async function boot() {
  booted = await load().then(
    (python) => ({ python }),
    (error) => ({ error }),
  );
  return python();
}

function python() {
  if (booted.error !== undefined) throw booted.error;
  return booted.python;
}

/** Return Python once it has been started. A promise of the host's request must not be awaited in another one. */
async function started() {
  for (let waited = 0; booted === undefined; waited += 20) {
    if (waited >= START_MILLISECONDS) throw new Error("Python has not been started");
    await scheduler.wait(20);
  }
  return python();
}

async function readFile(folder, name) {
  const response = await folder.fetch(`http://files/${name}`);
  if (!response.ok) throw new Error(`${name} cannot be read: status ${response.status}`);
  return await response.arrayBuffer();
}

async function pyodideParts() {
  const [wasm, standardLibrary] = await Promise.all(
    ["pyodide.asm.wasm", "python_stdlib.zip"].map((name) => readFile(pyodideFiles, name)),
  );
  return { wasm, standardLibrary };
}

/** Return a snapshot of an interpreter that has imported the modules of every Worker, and none of the project. */
async function makeSnapshot() {
  const pyodide = await startPython(await pyodideParts(), settings, { _makeSnapshot: true });
  pyodide.runPython(settings.preloaded.map((name) => `__import__("${name}")`).join("\n"));
  addOwnModules(pyodide);
  return pyodide.makeMemorySnapshot();
}

async function load() {
  const [parts, uploaded] = await Promise.all([pyodideParts(), uploader.fetch("http://upload/")]);
  if (!uploaded.ok) throw new Error((await uploaded.json()).error);
  const helper = entrypointHelper(visibleEnv);
  const pyodide = await (uploaded.headers.get("X-Uses-Libraries") === "true" || settings.countsLines
    ? importAgain(parts, helper)
    : restore(parts, helper, uploaded));
  pyodide.pyimport("_vinext_host").begin_requests();
  return {
    main: pyodide.pyimport(settings.mainModule),
    introspection: pyodide.pyimport("_vinext_host"),
  };
}

/** Start from the snapshot of the upload. */
async function restore(parts, helper, uploaded) {
  const names = JSON.parse(uploaded.headers.get("X-Roots"));
  const roots = new Map(await Promise.all(names.map(async (name) => [name, await rootNamed(name, helper)])));
  const pyodide = await startPython(parts, settings, {
    _loadSnapshot: uploaded.arrayBuffer(),
    _snapshotDeserializer(kept) {
      if (kept.helper) return helper;
      if (kept.flags) return settings.compatibilityFlags;
      return kept.way.reduce((object, property) => object[property], roots.get(kept.root));
    },
  });
  writeProject(pyodide.FS, filesIndex, filesContents);
  return pyodide;
}

/** Return `globalThis` or a JavaScript module. */
function rootNamed(name, helper) {
  if (name === "globalThis") return globalThis;
  if (name === "cloudflare:workers") return helper.cloudflareWorkersModule;
  if (name === "cloudflare:sockets") return helper.cloudflareSocketsModule;
  return helper.doAnImport(name);
}

/** Import the project's modules in this isolate: compiled libraries are no part of a snapshot, nor are the lines that ran. */
async function importAgain(parts, helper) {
  const options = settings.snapshot ? { _loadSnapshot: readFile(cacheFiles, settings.snapshot) } : {};
  const pyodide = await startPython(parts, settings, options);
  if (!settings.snapshot) addOwnModules(pyodide);
  writeProject(pyodide.FS, filesIndex, filesContents);
  pyodide.registerJsModule("_pyodide_entrypoint_helper", helper);
  pyodide.registerJsModule("_cloudflare_compat_flags", settings.compatibilityFlags);
  if (settings.countsLines) countLines(pyodide);
  const host = pyodide.pyimport("_vinext_host");
  host.prepare_import_path(CODE, VENDORED);
  await host.import_main.callPromising(settings.mainModule);
  return pyodide;
}

/** Return what ran, as JSON; undefined where lines are not counted. */
let linesThatRan;

function countLines(pyodide) {
  const lines = pyodide.toPy({ __name__: "_vinext_lines" });
  pyodide.runPython(linesSource, { globals: lines, filename: "lines.py" });
  lines.get("count_lines")(CODE);
  linesThatRan = lines.get("lines_that_ran");
}

/** Call Python on a stack that can be switched. */
async function callPython(callable, ...given) {
  return await callable.callWithOptions({ relaxed: false, promising: true }, ...given);
}

async function makeInstance(context) {
  const { main } = await started();
  return await callPython(main.Default, context, visibleEnv);
}

/** An entrypoint makes a new instance of `Default` for each request, and then calls its method. Both are calls of their own. */
function entrypoint() {
  return class extends cloudflareWorkers.WorkerEntrypoint {
    constructor(context, env) {
      super(context, env);
      const making = makeInstance(context);
      return new Proxy(this, {
        get(target, property, receiver) {
          if (typeof property !== "string") return Reflect.get(target, property, receiver);
          return async (...given) => {
            try {
              const instance = await making;
              if (typeof instance[property] !== "function") throw new TypeError(`Method ${property} does not exist`);
              const { introspection } = python();
              return await callPython(introspection.call_method, property === "fetch", instance, property, ...given);
            } catch (error) {
              console.error(error.message);
              throw error;
            }
          };
        },
      });
    }
    // For workerd, which looks for the handlers of a class. The proxy answers.
    fetch() {}
  };
}

export default entrypoint();

/** The same Worker without the assets router in front of it; only the host's own sockets lead here. */
export const Direct = entrypoint();

/** The control of this isolate, for the host: it starts Python, reads and writes the key-value store, and makes bindings fail. */
export class Control extends cloudflareWorkers.WorkerEntrypoint {
  fetch(request) {
    return answerControl(request, { settings, bindings, boot, makeSnapshot, linesThatRan });
  }
}
