// The actions that the host and tests can perform in a running Worker, through a separate socket that needs the host's token.

import { dataPoints } from "./datasets.mjs";

/** A binding's method, such as `VINEXT_CACHE.get`, to its fault: "throw", "hang", "break", "limit", or a status for `fetch`. */
const faults = new Map();

/** When a KV key was last written, with the fault "limit". */
const writtenAt = new Map();

const HANG_MILLISECONDS = 600_000;

/** Answer a request of the host, with JSON or a snapshot's bytes. */
export async function answerControl(request, { settings, bindings, boot, makeSnapshot, linesThatRan }) {
  if (request.headers.get("Authorization") !== `Bearer ${settings.token}`) return new Response(null, { status: 403 });
  const { action, ...given } = await request.json();
  const perform = actions[action];
  if (perform === undefined) return Response.json({ error: `unknown action ${action}` }, { status: 400 });
  try {
    return (await perform(given, { bindings, boot, makeSnapshot, linesThatRan })) ?? Response.json({});
  } catch (error) {
    return Response.json({ error: error?.message ?? String(error) }, { status: 500 });
  }
}

const actions = {
  async boot(_given, { boot }) {
    await boot();
  },

  lines(_given, { linesThatRan }) {
    return new Response(linesThatRan?.() ?? "{}");
  },

  async snapshot(_given, { makeSnapshot }) {
    return new Response(await makeSnapshot());
  },

  async "kv.list"({ binding, prefix }, { bindings }) {
    const keys = [];
    let cursor;
    do {
      const page = await bindings[binding].list({ prefix, cursor, include: ["customMetadata"] });
      keys.push(...(page.keys ?? page.objects.map((object) => ({ name: object.key, metadata: metadataOf(object) }))));
      cursor = page.list_complete || page.truncated === false ? undefined : page.cursor;
    } while (cursor !== undefined);
    return Response.json({ keys });
  },

  async "kv.get"({ binding, key }, { bindings }) {
    const { value, metadata } = await got(bindings[binding], key);
    return Response.json({ value: value && new Uint8Array(value).toBase64(), metadata });
  },

  async "kv.put"({ binding, key, value, options }, { bindings }) {
    const store = bindings[binding];
    const own = isBucket(store) ? { customMetadata: options.metadata && { vinext: JSON.stringify(options.metadata) } } : options;
    await store.put(key, Uint8Array.fromBase64(value), own);
  },

  async "kv.delete"({ binding, key }, { bindings }) {
    await bindings[binding].delete(key);
  },

  "analytics.points"({ binding }) {
    return Response.json({ points: dataPoints(binding) });
  },

  fail({ binding, method, fault }) {
    faults.set(`${binding}.${method}`, fault);
  },

  heal() {
    faults.clear();
  },
};

/** Return whether a binding is a bucket of R2, which keeps the metadata of KV as custom metadata, in JSON. */
function isBucket(binding) {
  return "createMultipartUpload" in binding;
}

function metadataOf(object) {
  return JSON.parse(object.customMetadata?.vinext ?? "null");
}

async function got(binding, key) {
  if (!isBucket(binding)) return await binding.getWithMetadata(key, "arrayBuffer");
  const object = await binding.get(key);
  return object === null ? { value: null, metadata: null } : { value: await object.arrayBuffer(), metadata: metadataOf(object) };
}

/** Return the same bindings, but `fail` can make each of their methods fail. */
export function withFaults(bindings) {
  return Object.fromEntries(
    Object.entries(bindings).map(([name, binding]) => [name, isService(binding) ? faulty(name, binding) : binding]),
  );
}

function isService(binding) {
  return typeof binding === "object" && binding !== null && !Array.isArray(binding) && binding.constructor !== Object;
}

const OBJECT_GETTERS = ["get", "getByName"];

function faulty(name, binding) {
  // A plain object as the target: a proxy must return frozen properties of its target unchanged, and some of workerd's are frozen.
  return new Proxy(Object.create(Object.getPrototypeOf(binding)), {
    get(_target, property) {
      const value = binding[property];
      if (typeof value !== "function" || property === "constructor") return value;
      // Not `value.apply`: a method of another Worker has every attribute.
      const call = (given) => Reflect.apply(value, binding, given);
      // The object's own methods fail, by the name of the binding.
      if (binding.constructor.name === "DurableObjectNamespace") {
        return (...given) => (OBJECT_GETTERS.includes(property) ? faulty(name, call(given)) : call(given));
      }
      return (...given) => {
        const fault = faults.get(`${name}.${property}`);
        return fault === "break" ? broken(call(given)) : act(fault, name, property, given) ?? call(given);
      };
    },
  });
}

/** Return the result of a KV read, but with a value that breaks off after its first bytes. */
async function broken(read) {
  const { value, metadata } = await read;
  const reader = value.getReader();
  const first = await reader.read();
  await reader.cancel();
  const start = (controller) => controller.enqueue(first.value.subarray(0, 1000));
  const pull = async (controller) => {
    await scheduler.wait(20); // so that the first bytes are sent before the error
    controller.error(new Error("the value broke off as asked for"));
  };
  return { value: new ReadableStream({ start, pull }), metadata };
}

function act(fault, name, property, [key]) {
  if (fault === undefined) return undefined;
  if (fault === "limit") {
    if (Date.now() - (writtenAt.get(key) ?? 0) < 1000) return Promise.reject(new Error("KV PUT failed: 429 Too Many Requests"));
    writtenAt.set(key, Date.now());
    return undefined;
  }
  if (typeof fault === "number") return Promise.resolve(new Response("a fault that was asked for", { status: fault }));
  // The timer counts as pending input. Without it, workerd would notice that no input can ever come, and end the request.
  if (fault === "hang") return new Promise((resolve) => setTimeout(resolve, HANG_MILLISECONDS));
  return Promise.reject(new Error(`${name}.${String(property)} failed as asked for`));
}
