// The Worker that runs a Python Worker's code. It loads the Pyodide release of the production runtime inside workerd.
// It stands in for workerd's built-in Python support, which would download its own Pyodide bundle at the first start.
// What it does for a request is what that support does, call by call, so that a request costs what it costs in production.

import * as cloudflareWorkers from "cloudflare:workers";
import linesSource from "./lines.py";
import { answerControl, withFaults } from "./control.mjs";
import { datasets } from "./datasets.mjs";
import { loadLibraries } from "./libraries.mjs";
import { packHeap, unpack, unpackHeap } from "./packs.mjs";
import { addOwnModules, CODE, entrypointHelper, startPython, VENDORED, writeProject } from "./python.mjs";

/** The bindings of the host itself, which `options.mjs` adds to the project's bindings. */
const {
  VINEXT_HOST: settings,
  VINEXT_HOST_EVAL: _unsafeEval,
  VINEXT_HOST_PYODIDE: pyodideFiles,
  VINEXT_HOST_CACHE: cacheFiles,
  VINEXT_HOST_FILES: filesService,
  VINEXT_HOST_UPLOAD: uploader,
  ...bound
} = cloudflareWorkers.env;

const bindings = { ...bound, ...datasets(settings.datasets) };

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

const projectFiles = async () => unpack(await readFile(filesService, "files"));

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
  return packHeap(pyodide.makeMemorySnapshot());
}

async function load() {
  const [parts, uploaded] = await Promise.all([pyodideParts(), uploader.fetch("http://upload/")]);
  if (!uploaded.ok) throw new Error((await uploaded.json()).error);
  const helper = entrypointHelper(visibleEnv);
  const libraries = JSON.parse(uploaded.headers.get("X-Libraries"));
  const pyodide = await (libraries === null || settings.countsLines
    ? importAgain(parts, helper)
    : restore(parts, helper, uploaded, libraries));
  pyodide.pyimport("_vinext_host").begin_requests();
  return {
    main: pyodide.pyimport(settings.mainModule),
    introspection: pyodide.pyimport("_vinext_host"),
  };
}

/** Start from the snapshot of the upload. */
async function restore(parts, helper, uploaded, libraries) {
  const names = JSON.parse(uploaded.headers.get("X-Roots"));
  const files = await projectFiles();
  const roots = new Map(await Promise.all(names.map(async (name) => [name, await rootNamed(name, helper)])));
  const pyodide = await startPython(parts, settings, {
    prepare: (module) => loadLibraries(module, libraries, (path) => files.get(path.slice(CODE.length + 1))),
    _loadSnapshot: uploaded.arrayBuffer(),
    _snapshotDeserializer(kept) {
      if (kept.helper) return helper;
      if (kept.flags) return settings.compatibilityFlags;
      return kept.way.reduce((object, property) => object[property], roots.get(kept.root));
    },
  });
  writeProject(pyodide.FS, files);
  return pyodide;
}

/** Return `globalThis` or a JavaScript module. */
function rootNamed(name, helper) {
  if (name === "globalThis") return globalThis;
  if (name === "cloudflare:workers") return helper.cloudflareWorkersModule;
  if (name === "cloudflare:sockets") return helper.cloudflareSocketsModule;
  return helper.doAnImport(name);
}

/** Import the project's modules in this isolate: the lines that ran, and libraries that need others, are no part of a snapshot. */
async function importAgain(parts, helper) {
  const options = settings.snapshot ? { _loadSnapshot: readFile(cacheFiles, settings.snapshot).then(unpackHeap) } : {};
  const pyodide = await startPython(parts, settings, options);
  if (!settings.snapshot) addOwnModules(pyodide);
  writeProject(pyodide.FS, await projectFiles());
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

async function makeInstance(className, context) {
  const { main } = await started();
  return await callPython(main[className], context, visibleEnv);
}

/** Call `fetch` or a method of RPC, whose arguments and result Python converts. */
async function callMethod(instance, name, given) {
  const { introspection } = python();
  return await callPython(introspection.call_method, name === "fetch", instance, name, ...given);
}

/** What the runtime itself calls in a Durable Object gets its arguments as they are, and as many as it takes. */
const OBJECT_HANDLERS = ["alarm", "webSocketMessage", "webSocketClose", "webSocketError"];

async function callObject(instance, name, given) {
  if (!OBJECT_HANDLERS.includes(name)) return await callMethod(instance, name, given);
  return await instance[name].callWithOptions({ relaxed: true, promising: true }, ...given);
}

/** Return an object that has every method, and hands its calls to the Python instance. */
function withPythonMethods(object, making, call) {
  return new Proxy(object, {
    get(target, property, receiver) {
      if (typeof property !== "string") return Reflect.get(target, property, receiver);
      return async (...given) => {
        try {
          const instance = await making;
          if (typeof instance[property] !== "function") throw new TypeError(`Method ${property} does not exist`);
          return await call(instance, property, given);
        } catch (error) {
          console.error(error.message);
          throw error;
        }
      };
    },
  });
}

/** An entrypoint makes a new instance of `Default` for each request, and then calls its method. Both are calls of their own. */
function entrypoint() {
  return class extends cloudflareWorkers.WorkerEntrypoint {
    constructor(context, env) {
      super(context, env);
      return withPythonMethods(this, makeInstance("Default", context), callMethod);
    }
    // For workerd, which looks for the handlers of a class. The proxy answers.
    fetch() {}
  };
}

/** Return the class of a Durable Object: each object makes one instance of the Python class of that name. */
export function durableObject(className) {
  return class extends cloudflareWorkers.DurableObject {
    constructor(context, env) {
      super(context, env);
      return withPythonMethods(this, makeInstance(className, context), callObject);
    }
    fetch() {}
  };
}

export default entrypoint();

/** The same Worker without the assets router in front of it; only the host's own sockets lead here. */
export const HostDirect = entrypoint();

/** The control of this isolate, for the host: it starts Python, reads and writes the key-value store, and makes bindings fail. */
export class HostControl extends cloudflareWorkers.WorkerEntrypoint {
  fetch(request) {
    return answerControl(request, { settings, bindings, boot, makeSnapshot, linesThatRan });
  }
}
