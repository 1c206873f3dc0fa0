// What Pyodide's two modules see in the place of some globals: `options.mjs` puts an import of these names at their top. Pyodide expects
// a browser, where it fetches its files, compiles them while they stream, and makes small WebAssembly modules from bytes. workerd has
// the parts, but allows none of this. The project's own code sees workerd's globals as they are.

import { env } from "cloudflare:workers";

const real = globalThis;
const { VINEXT_HOST_EVAL: unsafeEval } = env;

/** Compile WebAssembly from bytes. A Worker may do so in its global scope, and elsewhere by a binding of its own. */
const compile = (bytes) => (unsafeEval ? unsafeEval.newWasmModule(bytes) : new real.WebAssembly.Module(bytes));

let files;

/** Keep the files of Pyodide that its loader will ask for. */
export function provide(wasm, standardLibrary) {
  files = { wasm: compile(wasm), standardLibrary };
}

/** Instantiate at once: nothing can be waited for in the global scope. */
async function instantiate(source, imports) {
  if (source instanceof real.WebAssembly.Module) return new real.WebAssembly.Instance(source, imports);
  const module = compile(source);
  return { module, instance: new real.WebAssembly.Instance(module, imports) };
}

const webAssembly = Object.create(real.WebAssembly, {
  // A proxy instead of a function, so that `Module.customSections` and `instanceof` still work. Pyodide makes such a module for every
  // new C signature.
  Module: { value: new Proxy(real.WebAssembly.Module, { construct: (_target, [bytes]) => compile(bytes) }) },
  compile: { value: async (bytes) => compile(bytes) },
  instantiate: { value: instantiate },
  instantiateStreaming: {
    value: async (_response, imports) => ({ module: files.wasm, instance: await instantiate(files.wasm, imports) }),
  },
});

/** Not a Response: none can be made in the global scope. */
const fetch = async (url) => ({ ok: true, status: 200, arrayBuffer: async () => (String(url).endsWith(".zip") ? files.standardLibrary : null) });

let fillRandomly = (array) => real.crypto.getRandomValues(array);

/** Give a constant instead of random numbers where they may be bad, because workerd has none in the global scope. */
export function allowBadRandomness(mayBeBad) {
  fillRandomly = (array) => (mayBeBad() ? array.fill(43) : real.crypto.getRandomValues(array));
}

const crypto = { getRandomValues: (array) => fillRandomly(array) };

let lastTime;
let more = 0;

/** A clock that advances at each look, because Python knows a changed folder by its time. workerd's stands still between inputs. */
function now() {
  const time = real.Date.now();
  more = time === lastTime ? more + 1 : 0;
  lastTime = time;
  return time + more;
}

const date = new Proxy(real.Date, { get: (target, name) => (name === "now" ? now : target[name]) });

const location = "http://pyodide.invalid/";

// With Node's `process`, Pyodide would take workerd for Node.js.
const process = undefined;
const hidden = { location, process };

const scope = new Proxy(real, { get: (target, name) => (Object.hasOwn(hidden, name) ? hidden[name] : Reflect.get(target, name)) });

export { crypto, date as Date, fetch, location, process, scope as globalThis, webAssembly as WebAssembly };
