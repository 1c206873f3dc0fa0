// The upload: imports the project's main module in the global scope of a Worker of its own, and answers with a snapshot of the heap, as
// the Workers runtime does once for each version. Every rule of the global scope is workerd's own here. What is no part of the heap is
// lost behind the snapshot, as in production: files, open handles, attributes of `globalThis`.

import { env } from "cloudflare:workers";
import basePack from "./base.bin";
import bytecodePack from "./bytecode.bin";
import clocksSource from "./clocks.py";
import filesPack from "./files.bin";
import wasm from "./pyodide.wasm.bin";
import referencesSource from "./references.py";
import standardLibrary from "./python_stdlib.bin";
import { loadedLibraries } from "./libraries.mjs";
import { pack, unpack, unpackHeap } from "./packs.mjs";
import { addOwnModules, CODE, entrypointHelper, startPython, VENDORED, writeProject } from "./python.mjs";
import { allowBadRandomness } from "./surroundings.mjs";

const { VINEXT_HOST: settings, ...variables } = env;

const SOURCE = Symbol("source");

/** Python itself keeps it open, and opens it again. */
const STANDARD_LIBRARY = "/lib/python314.zip";

/**
 * Return an object that a snapshot can contain, by its root (`globalThis` or a JavaScript module) and the attributes that lead from there
 * to it. What a constructor or a function makes of such objects is found by no attribute, and what is reached by way of a `prototype` is
 * refused by the Workers runtime too.
 */
function findable(root, object, way = []) {
  if (object === null || !["object", "function"].includes(typeof object)) return object;
  return new Proxy(object, {
    get(target, property) {
      if (property === SOURCE) return { object, root, way };
      const value = Reflect.get(target, property);
      const described = Reflect.getOwnPropertyDescriptor(target, property);
      const isFixed = described !== undefined && !described.configurable && (!described.writable || property === "prototype");
      return isFixed || typeof property !== "string" ? value : findable(root, value, [...way, property]);
    },
    apply: (target, self, given) => Reflect.apply(target, self?.[SOURCE]?.object ?? self, given),
  });
}

async function upload() {
  const helper = entrypointHelper({ ...variables, ...placeholders(settings.bindings) }, findable);
  const serialized = new Map([
    [helper, { helper: true }],
    [settings.compatibilityFlags, { flags: true }],
  ]);
  const lost = [];
  const roots = new Set();
  const serializer = (object) => {
    if (serialized.has(object)) return serialized.get(object);
    const source = object[SOURCE];
    if (source === undefined) {
      lost.push(object);
      return {};
    }
    roots.add(source.root);
    return { root: source.root, way: source.way };
  };

  let mayBeBad = () => true; // Python needs random numbers to start
  allowBadRandomness(() => mayBeBad());
  const hasBase = basePack.byteLength > 0;
  const base = hasBase ? { _loadSnapshot: Promise.resolve(unpackHeap(basePack)) } : {};
  const jsglobals = findable("globalThis", globalThis);
  const pyodide = await startPython({ wasm, standardLibrary }, settings, { jsglobals, ...base });
  if (!hasBase) addOwnModules(pyodide);
  const files = unpack(filesPack);
  const bytecode = unpack(bytecodePack);
  writeProject(pyodide.FS, files);
  writeBytecode(pyodide.FS, bytecode);
  pyodide.registerJsModule("_pyodide_entrypoint_helper", helper);
  pyodide.registerJsModule("_cloudflare_compat_flags", settings.compatibilityFlags);
  const exceptions = pyodide.pyimport("_cloudflare").address_of_exceptions();
  mayBeBad = () => pyodide._module.HEAP8[exceptions] > 0;
  const host = pyodide.pyimport("_vinext_host");
  host.use_bytecode(BYTECODE);
  host.prepare_import_path(CODE, VENDORED);
  const before = outside(pyodide);
  const clocks = ownModule(pyodide, "clocks", clocksSource);
  clocks.get("watch")(CODE);
  try {
    await host.import_main.callPromising(settings.mainModule);
  } catch (error) {
    return { error: host.describe_import_error() };
  }
  host.use_bytecode();
  const missing = host.describe_missing_classes(pyodide.toPy(settings.objectClasses));
  if (missing) return { error: missing };
  for (const warning of [...clocks.get("end")(), ...warnings(before, outside(pyodide))]) console.warn(warning);
  clocks.destroy();
  freeSlotsAreNull(pyodide._module);
  pyodide._api.config._makeSnapshot = true; // not from the start: Pyodide would put proxies of its own in the place of ours
  const snapshot = pyodide.makeMemorySnapshot({ serializer });
  if (lost.length > 0) return { error: describe(pyodide, lost) };
  const made = madeBytecode(pyodide.FS, [...files.keys()].filter((path) => path.endsWith(".py") && !bytecode.has(path)));
  return { snapshot, roots: [...roots], libraries: loadedLibraries(pyodide._module), bytecode: made.length === 0 ? null : pack(made) };
}

/** Where Python finds and writes the bytecode of the project's modules while it imports them. */
const BYTECODE = "/session/bytecode";

const bytecodePath = (path) => `${BYTECODE}${CODE}/${path.slice(0, -".py".length)}.cpython-314.pyc`;

function writeBytecode(FS, bytecode) {
  FS.mkdirTree(BYTECODE);
  for (const [path, bytes] of bytecode) {
    const target = bytecodePath(path);
    FS.mkdirTree(target.slice(0, target.lastIndexOf("/")));
    FS.writeFile(target, bytes, { canOwn: true });
  }
}

/** Return the bytecode of those of the sources that were imported. */
function madeBytecode(FS, sources) {
  const imported = sources.filter((path) => FS.analyzePath(bytecodePath(path)).exists);
  return imported.map((path) => [path, FS.readFile(bytecodePath(path))]);
}

/** Stand for the bindings that cannot be passed to this Worker. They can be kept in a global, as in production, but not called. */
function placeholders(bindings) {
  return Object.fromEntries(Object.entries(bindings).map(([name, type]) => [name, new { [type]: class {} }[type]()]));
}

/** A slot of the table of references that was used and is free again may hold `undefined`, which Pyodide does not expect. */
function freeSlotsAreNull(module) {
  const get = module.__hiwire_get;
  module.__hiwire_get = (slot) => get(slot) ?? null;
}

function describe(pyodide, lost) {
  return ownModule(pyodide, "references", referencesSource).get("describe")(lost, CODE);
}

/** Run one of this folder's Python modules, and return its names. */
function ownModule(pyodide, name, source) {
  const names = pyodide.toPy({ __name__: `_vinext_${name}` });
  pyodide.runPython(source, { globals: names, filename: `${name}.py` });
  return names;
}

/** What is no part of the heap. */
function outside({ FS }) {
  return { files: new Set(filesBelow(FS, "/")), streams: new Set(FS.streams.filter(Boolean)), globals: new Set(Object.getOwnPropertyNames(globalThis)) };
}

function filesBelow(FS, folder) {
  return FS.readdir(folder)
    .filter((name) => name !== "." && name !== "..")
    .map((name) => (folder === "/" ? `/${name}` : `${folder}/${name}`))
    .filter((path) => path !== "/proc" && path !== "/dev" && path !== CODE && path !== BYTECODE)
    .flatMap((path) => (FS.isDir(FS.lstat(path).mode) ? [path, ...filesBelow(FS, path)] : [path]));
}

function warnings(before, after) {
  const lost = (what) => `${what} at module level, and is lost behind the snapshot: do it in a request`;
  return [
    ...[...after.files.difference(before.files)].map((path) => lost(`${path} was written`)),
    ...[...after.streams.difference(before.streams)].filter(({ path }) => path !== STANDARD_LIBRARY).map(({ path }) => lost(`${path} was opened`)),
    ...[...after.globals.difference(before.globals)].map((name) => lost(`globalThis.${name} was set`)),
  ];
}

const result = await upload().catch((error) => ({ error: error?.stack ?? String(error) }));

export default {
  fetch({ url }) {
    if (url.endsWith("/bytecode")) return new Response(result.bytecode, { status: result.bytecode === null ? 204 : 200 });
    if (result.error !== undefined) return Response.json({ error: result.error }, { status: 500 });
    const headers = { "X-Roots": JSON.stringify(result.roots), "X-Libraries": JSON.stringify(result.libraries) };
    return new Response(result.snapshot, { headers });
  },
};
