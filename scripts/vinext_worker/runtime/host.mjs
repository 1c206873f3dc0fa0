// The process that runs workerd through miniflare. Python starts it and speaks JSON lines with it: one configuration or command a
// line on stdin, one event a line on stdout. It ends when its stdin does, so that nothing is left behind when Python dies.

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { createInterface } from "node:readline";
import { CONTROL, DIRECT, OWN_MODULES, minimalOptions, serviceNames, toMiniflareOptions, workerNames } from "./options.mjs";

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

/** Start Python in each isolate, or throw with its traceback. */
async function bootAll(instance, config) {
  await Promise.all(
    workerNames(config).map(async (name) => {
      const { error } = await (await ask(instance, config, name, "boot")).json();
      if (error !== undefined) throw new BootError(error);
    }),
  );
}

class BootError extends Error {}

async function ask(instance, { token }, name, action) {
  const url = await instance.unsafeGetDirectURL(name, CONTROL);
  return await fetch(url, { method: "POST", headers: { Authorization: `Bearer ${token}` }, body: JSON.stringify({ action }) });
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
async function ensureSnapshot(config) {
  await mkdir(config.cache, { recursive: true });
  const name = await snapshotName(config);
  const file = path.join(config.cache, name);
  if (existsSync(file)) return name;
  const maker = new Miniflare({ ...sharedOptions({ ...config, state: null }, () => {}), ...(await minimalOptions(config)) });
  try {
    await maker.ready;
    const response = await ask(maker, config, config.worker.name, "snapshot");
    if (!response.ok) throw new Error((await response.json()).error);
    // Renamed when whole: another runtime may be reading it.
    await writeFile(`${file}.${process.pid}`, Buffer.from(await response.arrayBuffer()));
    await rename(`${file}.${process.pid}`, file);
    await removeOthers(config.cache, name);
    return name;
  } catch (error) {
    emit("log", { level: "warn", message: `no snapshot of Python was made, so it starts slowly: ${error.message}` });
    return null;
  } finally {
    await maker.dispose();
  }
}

/** An upgrade makes a new snapshot, and nothing would ever read the old one again. */
async function removeOthers(folder, kept) {
  const names = (await readdir(folder)).filter((name) => name.endsWith(".snapshot") && name !== kept);
  await Promise.all(names.map((name) => rm(path.join(folder, name), { force: true })));
}

async function snapshotName({ pyodide }) {
  const hash = createHash("sha256");
  for (const file of [path.join(pyodide, "package.json"), ...OWN_MODULES]) hash.update(await readFile(file));
  return `python-${hash.digest("hex").slice(0, 16)}.snapshot`;
}

async function start(given) {
  const config = { ...given, snapshot: await ensureSnapshot(given) };
  miniflare = new Miniflare({ ...sharedOptions(config, (line) => emit("log", line)), ...(await toMiniflareOptions(config)) });
  await miniflare.ready;
  await bootAll(miniflare, config);
  emit("ready", await urlsOf(miniflare, config));
}

/** Try the new sources in a runtime of their own first: until they start, the old ones go on serving. */
async function reload(given) {
  const config = { ...given, snapshot: await ensureSnapshot(given) };
  const trial = new Miniflare({ ...sharedOptions({ ...config, state: null }, () => {}), ...(await minimalOptions(config)) });
  try {
    await trial.ready;
    await bootAll(trial, { ...config, isolates: 1 });
  } finally {
    await trial.dispose();
  }
  await miniflare.setOptions({ ...sharedOptions(config, (line) => emit("log", line)), ...(await toMiniflareOptions(config)) });
  await bootAll(miniflare, config);
  emit("ready", await urlsOf(miniflare, config));
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
