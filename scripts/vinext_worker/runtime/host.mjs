// The process that runs workerd through miniflare. Python starts it and speaks JSON lines with it: one configuration or command a
// line on stdin, one event a line on stdout. It ends when its stdin does, so that nothing is left behind when Python dies.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { StartCache } from "./cache.mjs";
import { CONTROL, DIRECT, minimalOptions, serviceNames, toMiniflareOptions, workerNames } from "./options.mjs";

// miniflare lies in the project's node_modules, not beside this file.
const { Log, LogLevel, Miniflare } = createRequire(process.argv[2])("miniflare");

let miniflare;

function emit(event, fields = {}) {
  process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);
}

/** miniflare's own lines, as events: what it says about itself is of interest only when something is wrong. */
class EventLog extends Log {
  constructor() {
    super(LogLevel.WARN);
  }
  log(message) {
    emit("log", { level: "warn", message: String(message) });
  }
}

function sharedOptions(config, onLog) {
  return {
    host: config.host,
    port: 0, // miniflare's own entry is not used: the sockets below lead to the Workers without it
    log: new EventLog(),
    handleStructuredLogs: ({ level, message }) => onLog({ level, message }),
    logRequests: false,
    cf: false, // else miniflare asks the internet for a sample of `request.cf`
    // KV and the other stores are written there; without it they live in memory.
    ...(config.state === null ? {} : { defaultPersistRoot: config.state }),
  };
}

/** Start Python in each isolate, or throw with its traceback; return how many modules the first had to compile. */
async function bootAll(instance, config) {
  const [first] = await Promise.all(
    workerNames(config).map(async (name) => {
      const { error, compiled } = await (await ask(instance, config, name, "boot")).json();
      if (error !== undefined) throw new BootError(error);
      return compiled;
    }),
  );
  return first;
}

class BootError extends Error {}

async function ask(instance, { token }, name, action, signal) {
  const url = await instance.unsafeGetDirectURL(name, CONTROL);
  const headers = { Authorization: `Bearer ${token}` };
  return await fetch(url, { method: "POST", headers, body: JSON.stringify({ action }), signal });
}

async function urlsOf(instance, config) {
  const all = (names, entrypoint) =>
    Promise.all(names.map(async (name) => String(await instance.unsafeGetDirectURL(name, entrypoint)).replace(/\/$/, "")));
  const services = serviceNames(config);
  const serviceUrls = await all(Object.values(services), "default");
  return {
    urls: await all(config.front ? ["front", ...workerNames(config).slice(1)] : workerNames(config), "default"),
    directUrls: await all(workerNames(config), DIRECT),
    controlUrls: await all(workerNames(config), CONTROL),
    serviceUrls: Object.fromEntries(Object.keys(services).map((binding, index) => [binding, serviceUrls[index]])),
  };
}

/**
 * Return the name of the file with the heap of a started interpreter, made once for a release of Pyodide and this code. Starting
 * without it works too, only slower, so a failure is no more than a line in the log.
 */
async function ensureSnapshot(config, cache) {
  const name = cache.snapshotName;
  if (cache.has(name)) return name;
  const maker = new Miniflare({ ...sharedOptions({ ...config, state: null }, () => {}), ...(await minimalOptions(config)) });
  try {
    await maker.ready;
    await cache.write(name, await download(maker, config, "snapshot"));
    return name;
  } catch (error) {
    emit("log", { level: "warn", message: `no snapshot of Python was made, so it starts slowly: ${error.message}` });
    return null;
  } finally {
    await maker.dispose();
  }
}

async function download(instance, config, action, signal) {
  const response = await ask(instance, config, config.worker.name, action, signal);
  if (!response.ok) throw new Error((await response.json()).error);
  return Buffer.from(await response.arrayBuffer());
}

// Less than Python waits for the end of this process.
const KEEPING_MILLISECONDS = 5000;

let keeping = Promise.resolve();

/** Keep what had to be compiled for the next start, while this one already serves. */
function keepBytecode(instance, config, cache) {
  keeping = keeping.then(async () => {
    try {
      const signal = AbortSignal.timeout(KEEPING_MILLISECONDS); // the Worker serves already, and may hang in a request
      await cache.write(cache.bytecodeName(config), await download(instance, config, "bytecode", signal));
    } catch (error) {
      emit("log", { level: "warn", message: `no bytecode was kept, so the next start compiles again: ${error.message}` });
    }
  });
}

/** The configuration with the names of the files that earlier starts have left, and the cache they are in. */
async function withCache(given) {
  const cache = await StartCache.open(given);
  const snapshot = given.usesSnapshot ? await ensureSnapshot(given, cache) : null;
  const bytecode = given.usesBytecode ? await cache.bytecodeFor(given) : null;
  return [{ ...given, snapshot, bytecode }, cache];
}

async function boot(config, cache) {
  const compiled = await bootAll(miniflare, config);
  emit("ready", await urlsOf(miniflare, config));
  if (config.usesBytecode && compiled > 0) keepBytecode(miniflare, config, cache);
}

async function start(given) {
  const [config, cache] = await withCache(given);
  miniflare = new Miniflare({ ...sharedOptions(config, (line) => emit("log", line)), ...(await toMiniflareOptions(config)) });
  await miniflare.ready;
  await boot(config, cache);
}

/** Try the new sources in a runtime of their own first: until they start, the old ones go on serving. */
async function reload(given) {
  await keeping;
  const [config, cache] = await withCache(given);
  const trial = new Miniflare({ ...sharedOptions({ ...config, state: null }, () => {}), ...(await minimalOptions(config)) });
  try {
    await trial.ready;
    await bootAll(trial, { ...config, isolates: 1 });
  } finally {
    await trial.dispose();
  }
  await miniflare.setOptions({ ...sharedOptions(config, (line) => emit("log", line)), ...(await toMiniflareOptions(config)) });
  await boot(config, cache);
}

async function attempt(action) {
  try {
    await action();
  } catch (error) {
    emit("failed", { kind: error instanceof BootError ? "import" : "runtime", message: error.message, stack: error.stack });
  }
}

let stopping = false;

async function stop() {
  if (stopping) return;
  stopping = true;
  await keeping;
  await miniflare?.dispose().catch(() => {});
  process.exit(0);
}

process.on("SIGTERM", stop);
process.on("SIGINT", () => {}); // Ctrl-C is for the command, which then closes our stdin

let work = Promise.resolve();
createInterface({ input: process.stdin })
  .on("line", (line) => {
    const { command, config } = JSON.parse(line);
    work = work.then(() => attempt(() => (command === "start" ? start(config) : reload(config))));
  })
  .on("close", stop);
