// Translates the configuration that Python read from wrangler.toml into miniflare's options.

import { readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

// The host's own classes in a Worker, by names that no class of a project has.
export const CONTROL = "HostControl";
export const DIRECT = "HostDirect";
export const UPLOADER = "uploader";

const HERE = path.dirname(fileURLToPath(import.meta.url));

// What Pyodide's modules see in the place of some globals.
const SURROUNDINGS = 'import { crypto, Date, fetch, globalThis, location, process, WebAssembly } from "./surroundings.mjs";';

// True in production at the dates this project supports; the SDK reads them from `_cloudflare_compat_flags`.
const PYTHON_FLAGS = [
  "python_workers",
  "python_workers_20250116",
  "python_workers_314",
  "python_no_global_handlers",
  "python_workers_force_new_vendor_path",
  "enable_python_external_sdk",
  "python_process_pth_files",
  "python_request_headers_preserve_commas",
  "python_check_rng_state",
  "python_dedicated_snapshot",
  "python_workflows",
  "python_workflows_implicit_dependencies",
];

// The modules of the standard library that the SDK, this project and the frameworks import, and so nearly every Worker. They are part of
// the snapshot, so they are not compiled at each start.
const PRELOADED = [
  "asyncio",
  "colorsys",
  "dataclasses",
  "encodings.cp437",
  "encodings.utf_8_sig",
  "fractions",
  "hashlib",
  "hmac",
  "html",
  "http.client",
  "http.cookies",
  "importlib.metadata",
  "importlib.metadata._adapters",
  "inspect",
  "json",
  "logging",
  "mimetypes",
  "pickle",
  "pyodide.http",
  "queue",
  "random",
  "secrets",
  "shlex",
  "site",
  "traceback",
  "typing",
  "uuid",
  "zoneinfo",
];

/** Return the names of the Python Workers: one per isolate, all with the same code and bindings. */
export function workerNames({ worker, isolates }) {
  return Array.from({ length: isolates }, (_, index) => (index === 0 ? worker.name : `${worker.name}-${index + 1}`));
}

/** Return binding name to Worker name, for the services of the Python Worker. */
export function serviceNames({ services }) {
  return Object.fromEntries(Object.keys(services).map((binding) => [binding, `service-${binding.toLowerCase()}`]));
}

/** Return all Workers: the Python Worker (one per isolate), its services, and the front that reports requests, if it is wanted. */
export async function toMiniflareOptions(config) {
  const python = await pythonWorkers(config);
  const uploader = await uploaderWorker(config);
  const services = await Promise.all(
    Object.entries(serviceNames(config)).map(([binding, name]) => serviceWorker(name, config.services[binding], config)),
  );
  const [first, ...others] = python;
  if (!config.front) return { workers: [listening(first, config), ...others.map(listeningAnywhere), ...services, uploader] };
  // The visitors' address is the door's.
  const front = listeningAnywhere(await frontWorker(config));
  return { workers: [...python.map(listeningAnywhere), ...services, uploader, front] };
}

/** Return the minimum that starts Python: to make a snapshot of it. */
export async function pythonOptions(config) {
  const alone = { ...config, isolates: 1, services: {}, worker: { ...config.worker, assets: null, durableObjects: {} } };
  const [{ serviceBindings, ...python }] = await pythonWorkers(alone);
  const { VINEXT_HOST_UPLOAD: _upload, VINEXT_HOST_FILES: _files, ...bindings } = serviceBindings;
  return { workers: [{ ...python, serviceBindings: bindings }] };
}

function listening(worker, { host, port }) {
  return { ...worker, unsafeDirectSockets: [...(worker.unsafeDirectSockets ?? []), { host, port }] };
}

function listeningAnywhere(worker) {
  return { ...worker, unsafeDirectSockets: [...(worker.unsafeDirectSockets ?? []), { host: "127.0.0.1", port: 0 }] };
}

/** Return what the host's code inside a Worker is told. */
async function hostSettings({ worker, ...config }) {
  return {
    mainModule: worker.mainModule,
    preloaded: PRELOADED,
    snapshot: config.snapshot ?? null,
    countsLines: config.countsLines,
    datasets: Object.keys(worker.analyticsDatasets),
    lockFileInfo: JSON.parse(await readFile(path.join(config.pyodide, "pyodide-lock.json"), "utf8")).info,
    compatibilityFlags: Object.fromEntries([...PYTHON_FLAGS, ...worker.compatibilityFlags].map((flag) => [flag, true])),
  };
}

/** The flags for a Worker of JavaScript that runs Python itself. */
const flagsOf = ({ compatibilityFlags }) => compatibilityFlags.filter((flag) => !flag.includes("python"));

async function pythonWorkers(config) {
  const { worker } = config;
  const modules = await pythonModules(config);
  const services = serviceNames(config);
  const settings = { ...(await hostSettings(config)), token: config.token, faults: config.faults };
  return workerNames(config).map((name) => ({
    name,
    modules,
    modulesRoot: "/",
    compatibilityDate: worker.compatibilityDate,
    compatibilityFlags: flagsOf(worker),
    bindings: { ...worker.variables, VINEXT_HOST: settings },
    unsafeEvalBinding: "VINEXT_HOST_EVAL",
    kvNamespaces: worker.kvNamespaces,
    r2Buckets: worker.r2Buckets,
    d1Databases: worker.d1Databases,
    durableObjects: objectsFor(name, worker),
    serviceBindings: {
      ...services,
      // As files instead of modules: encoding tens of megabytes for workerd's configuration takes a second.
      VINEXT_HOST_PYODIDE: { disk: { path: config.pyodide } },
      VINEXT_HOST_CACHE: { disk: { path: config.cache } },
      VINEXT_HOST_FILES: config.filesService,
      VINEXT_HOST_UPLOAD: UPLOADER,
    },
    ...(worker.images === null ? {} : { images: { binding: worker.images } }),
    // A service with the binding's name replaces the assets, so that a test can make them fail.
    ...(worker.assets === null || services[worker.assets.binding] !== undefined ? {} : { assets: worker.assets }),
    unsafeDirectSockets: [
      { host: "127.0.0.1", port: 0, entrypoint: DIRECT },
      { host: "127.0.0.1", port: 0, entrypoint: CONTROL },
    ],
  }));
}

/** Return the bindings to Durable Objects. They live in the first isolate alone, so that there is one object for a name. */
function objectsFor(name, worker) {
  const elsewhere = name === worker.name ? {} : { scriptName: worker.name };
  return Object.fromEntries(Object.entries(worker.durableObjects).map(([binding, given]) => [binding, { ...given, ...elsewhere }]));
}

/** Return the Worker that imports the main module for all isolates. */
async function uploaderWorker(config) {
  const { worker } = config;
  const upload = {
    settings: { ...(await hostSettings(config)), bindings: bindingTypes(config), objectClasses: objectClasses(worker) },
    variables: worker.variables,
    compatibilityDate: worker.compatibilityDate,
    compatibilityFlags: flagsOf(worker),
    snapshot: config.snapshot ?? null,
    surroundings: SURROUNDINGS,
    token: config.token,
  };
  return {
    name: UPLOADER,
    compatibilityDate: worker.compatibilityDate,
    modules: [{ type: "ESModule", path: "/uploader.mjs", contents: await readFile(path.join(HERE, "uploader.mjs")) }],
    modulesRoot: "/",
    bindings: { VINEXT_HOST: upload },
    workerLoaders: { LOADER: {} },
    serviceBindings: {
      OWN: { disk: { path: HERE } },
      PYODIDE: { disk: { path: config.pyodide } },
      CACHE: { disk: { path: config.cache } },
      FILES: config.filesService,
    },
    unsafeDirectSockets: [{ host: "127.0.0.1", port: 0, entrypoint: CONTROL }],
  };
}

/** Return the name of each binding that is no variable, and its JavaScript class. */
function bindingTypes(config) {
  const { worker } = config;
  const fetchers = [...Object.keys(config.services), ...(worker.assets === null ? [] : [worker.assets.binding])];
  return {
    ...Object.fromEntries(Object.keys(worker.kvNamespaces).map((name) => [name, "KvNamespace"])),
    ...Object.fromEntries(Object.keys(worker.r2Buckets).map((name) => [name, "R2Bucket"])),
    ...Object.fromEntries(Object.keys(worker.d1Databases).map((name) => [name, "D1Database"])),
    ...Object.fromEntries(Object.keys(worker.analyticsDatasets).map((name) => [name, "AnalyticsEngine"])),
    ...Object.fromEntries(Object.keys(worker.durableObjects).map((name) => [name, "DurableObjectNamespace"])),
    ...Object.fromEntries(fetchers.map((name) => [name, "Fetcher"])),
  };
}

const OWN = ["worker.mjs", "control.mjs", "datasets.mjs", "libraries.mjs", "packs.mjs", "python.mjs", "surroundings.mjs", "entropy.py", "host.py", "lines.py"];

/** The files of this folder that run inside the Worker. */
export const OWN_MODULES = [...OWN.map((name) => path.join(HERE, name)), fileURLToPath(import.meta.url)];

/** Return the class of each Durable Object, and the binding that names it. */
function objectClasses({ durableObjects }) {
  return Object.fromEntries(Object.entries(durableObjects).map(([binding, { className }]) => [className, binding]));
}

/** Return the module that workerd takes as the Worker. It exports the classes of the project's Durable Objects by their names. */
function entryModule(worker) {
  const lines = Object.keys(objectClasses(worker)).map((name) => `export const ${name} = durableObject("${name}");`);
  const own = `export { default, ${CONTROL}, ${DIRECT} } from "./worker.mjs";`;
  const contents = [own, 'import { durableObject } from "./worker.mjs";', ...lines].join("\n");
  return { type: "ESModule", path: "/entry.mjs", contents };
}

async function pythonModules({ pyodide, worker }) {
  const read = (type, name, file) => readFile(file).then((contents) => ({ type, path: `/${name}`, contents }));
  return await Promise.all([
    entryModule(worker),
    ...OWN.map((name) => read(name.endsWith(".py") ? "Text" : "ESModule", name, path.join(HERE, name))),
    ...["pyodide.mjs", "pyodide.asm.mjs"].map(async (name) => {
      const contents = SURROUNDINGS + withPlaces(name, await readFile(path.join(pyodide, name), "utf8"));
      return { type: "ESModule", path: `/${name}`, contents };
    }),
    // The SDK imports these by name, with `doAnImport`.
    ...worker.scripts.map(([name, file]) => read("ESModule", name, file)),
  ]);
}

/** Let `libraries.mjs` say where the memory of a library is. */
function withPlaces(name, source) {
  if (name !== "pyodide.asm.mjs") return source;
  const start = "var getMemory=size=>{";
  if (!source.includes(start)) throw new Error(`this release of Pyodide has no \`${start}\``);
  return source.replace(start, `${start}if(Module.placeOfMemory)return Module.placeOfMemory;`);
}

async function serviceWorker(name, service, config) {
  const common = {
    name,
    compatibilityDate: service.compatibilityDate ?? config.worker.compatibilityDate,
    compatibilityFlags: service.compatibilityFlags ?? [],
    bindings: service.variables ?? {},
    kvNamespaces: service.kvNamespaces ?? {},
    r2Buckets: service.r2Buckets ?? {},
    unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
  };
  if (service.script !== undefined) {
    const names = serviceNames(config);
    return {
      ...common,
      modules: [{ type: "ESModule", path: "/service.mjs", contents: service.script }],
      modulesRoot: "/",
      serviceBindings: Object.fromEntries((service.services ?? []).map((binding) => [binding, names[binding]])),
    };
  }
  const modules = await Promise.all(
    service.modules.map(async ([type, file]) => ({ type, path: file, contents: await readFile(file) })),
  );
  return {
    ...common,
    modules,
    modulesRoot: service.root,
    serviceBindings: Object.fromEntries((service.selfBindings ?? []).map((binding) => [binding, name])),
    durableObjects: service.durableObjects ?? {},
    ...(service.images === undefined ? {} : { images: { binding: service.images } }),
    ...(service.assets === undefined ? {} : { assets: service.assets }),
  };
}

async function frontWorker({ worker }) {
  return {
    name: "front",
    compatibilityDate: worker.compatibilityDate,
    modules: [{ type: "ESModule", path: "/front.mjs", contents: await readFile(path.join(HERE, "front.mjs")) }],
    modulesRoot: "/",
    serviceBindings: { NEXT: worker.name },
  };
}
