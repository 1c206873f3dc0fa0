// The upload: imports the project's main module in the global scope of a Worker of its own, and answers with a snapshot of the heap, as
// the Workers runtime does once for each version. Every rule of the global scope is workerd's own here. What is no part of the heap is
// lost behind the snapshot, as in production: files, open handles, attributes of `globalThis`.

import { env } from "cloudflare:workers";
import baseSnapshot from "./base.bin";
import filesContents from "./files.bin";
import filesIndex from "./files.mjs";
import wasm from "./pyodide.wasm.bin";
import referencesSource from "./references.py";
import standardLibrary from "./python_stdlib.bin";
import { addOwnModules, CODE, entrypointHelper, startPython, VENDORED, writeProject } from "./python.mjs";

const { VINEXT_HOST: settings, ...variables } = env;

const NAME = Symbol("module");
const WAY = Symbol("way");

/** Return an object of a JavaScript module that a snapshot can contain: by the module's name and the attributes that lead there. */
function importProxy(name, object, way = []) {
  if (object === null || !["object", "function"].includes(typeof object)) return object;
  return new Proxy(object, {
    get(target, property) {
      if (property === NAME) return name;
      if (property === WAY) return way;
      const value = Reflect.get(target, property);
      const described = Reflect.getOwnPropertyDescriptor(target, property);
      const isFixed = described !== undefined && !described.writable && !described.configurable;
      return isFixed || typeof property !== "string" ? value : importProxy(name, value, [...way, property]);
    },
  });
}

async function upload() {
  const helper = entrypointHelper({ ...variables, ...placeholders(settings.bindings) }, importProxy);
  const serialized = new Map([
    [helper, { helper: true }],
    [settings.compatibilityFlags, { flags: true }],
  ]);
  const lost = [];
  const modules = new Set();
  const serializer = (object) => {
    if (serialized.has(object)) return serialized.get(object);
    const name = object?.[NAME];
    if (name === undefined) {
      lost.push(object);
      return {};
    }
    modules.add(name);
    return { module: name, way: object[WAY] };
  };

  const base = baseSnapshot.byteLength === 0 ? {} : { _loadSnapshot: Promise.resolve(baseSnapshot) };
  const pyodide = await startPython({ wasm, standardLibrary }, settings, { _makeSnapshot: true, ...base });
  if (baseSnapshot.byteLength === 0) addOwnModules(pyodide);
  writeProject(pyodide.FS, filesIndex, filesContents);
  pyodide.registerJsModule("_pyodide_entrypoint_helper", helper);
  pyodide.registerJsModule("_cloudflare_compat_flags", settings.compatibilityFlags);
  const host = pyodide.pyimport("_vinext_host");
  host.prepare_import_path(CODE, VENDORED);
  const before = outside(pyodide);
  try {
    await host.import_main.callPromising(settings.mainModule);
  } catch (error) {
    return { error: host.describe_import_error() };
  }
  for (const warning of warnings(before, outside(pyodide))) console.warn(warning);
  const snapshot = pyodide.makeMemorySnapshot({ serializer });
  if (lost.length > 0) return { error: describe(pyodide, lost) };
  return { snapshot, modules: [...modules], usesLibraries: Object.keys(pyodide._module.LDSO.loadedLibsByName).length > 1 };
}

/** Stand for the bindings that cannot be passed to this Worker. They can be kept in a global, as in production, but not called. */
function placeholders(bindings) {
  return Object.fromEntries(Object.entries(bindings).map(([name, type]) => [name, new { [type]: class {} }[type]()]));
}

function describe(pyodide, lost) {
  const references = pyodide.toPy({ __name__: "_vinext_references" });
  pyodide.runPython(referencesSource, { globals: references, filename: "references.py" });
  return references.get("describe")(lost, CODE);
}

/** What is no part of the heap. */
function outside({ FS }) {
  return { files: new Set(filesBelow(FS, "/")), streams: new Set(FS.streams.filter(Boolean)), globals: new Set(Object.getOwnPropertyNames(globalThis)) };
}

function filesBelow(FS, folder) {
  return FS.readdir(folder)
    .filter((name) => name !== "." && name !== "..")
    .map((name) => (folder === "/" ? `/${name}` : `${folder}/${name}`))
    .filter((path) => path !== "/proc" && path !== "/dev" && path !== CODE)
    .flatMap((path) => (FS.isDir(FS.lstat(path).mode) ? [path, ...filesBelow(FS, path)] : [path]));
}

function warnings(before, after) {
  const lost = (what) => `${what} at module level is lost behind the snapshot: do it in a request`;
  return [
    ...[...after.files.difference(before.files)].map((path) => lost(`${path}, written`)),
    ...[...after.streams.difference(before.streams)].map(({ path }) => lost(`${path}, opened`)),
    ...[...after.globals.difference(before.globals)].map((name) => lost(`globalThis.${name}, set`)),
  ];
}

const result = await upload().catch((error) => ({ error: error?.stack ?? String(error) }));

export default {
  fetch() {
    if (result.error !== undefined) return Response.json({ error: result.error }, { status: 500 });
    const headers = { "X-Modules": JSON.stringify(result.modules), "X-Uses-Libraries": String(result.usesLibraries) };
    return new Response(result.snapshot, { headers });
  },
};
