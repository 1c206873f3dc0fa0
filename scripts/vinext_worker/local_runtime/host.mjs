// The process that runs workerd through miniflare. Python starts it, and they exchange JSON lines: commands with a configuration on
// stdin, events on stdout. The process ends when its stdin is closed, so that it does not outlive Python.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { SnapshotFolder } from "./snapshots.mjs";
import { CONTROL, DIRECT, pythonOptions, serviceNames, toMiniflareOptions, UPLOADER, uploadOptions, workerNames } from "./options.mjs";

// miniflare is in the node_modules of the tools, not next to this file.
const { Log, LogLevel, Miniflare } = createRequire(`${process.argv[2]}/`)("miniflare");

let miniflare;

function emit(event, fields = {}) {
  process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);
}

/** Emits miniflare's own warnings and errors as events. */
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
    port: 0, // miniflare's own entry is not used: the Workers have sockets of their own
    log: new EventLog(),
    handleStructuredLogs: ({ level, message }) => onLog({ level, message }),
    logRequests: false,
    cf: false, // else miniflare asks the internet for a sample of `request.cf`
    // The folder of KV and the other stores; without it they are in memory.
    ...(config.state === null ? {} : { defaultPersistRoot: config.state }),
  };
}

/** Import the main module for all isolates, or throw with its traceback. */
async function upload(instance, config) {
  const { error } = await (await ask(instance, config, UPLOADER, "upload")).json();
  if (error !== undefined) throw new BootError(error);
}

/** Start Python in each isolate from the upload. */
async function bootAll(instance, config) {
  await Promise.all(
    workerNames(config).map(async (name) => {
      const { error } = await (await ask(instance, config, name, "boot")).json();
      if (error !== undefined) throw new BootError(error);
    }),
  );
  await ask(instance, config, UPLOADER, "forget");
}

class BootError extends Error {}

async function ask(instance, { token }, name, action) {
  const url = await instance.unsafeGetDirectURL(name, CONTROL);
  const headers = { Authorization: `Bearer ${token}` };
  return await fetch(url, { method: "POST", headers, body: JSON.stringify({ action }) });
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
 * Return the configuration with the name of the snapshot's file. The snapshot is made once for each release of Pyodide and of this
 * code. A start without it is only slower, so a failure is no more than a line in the log.
 */
async function withSnapshot(config) {
  const folder = await SnapshotFolder.open(config);
  if (!config.usesSnapshot) return { ...config, snapshot: null };
  if (folder.has()) return { ...config, snapshot: folder.name };
  const maker = new Miniflare({ ...sharedOptions({ ...config, state: null }, () => {}), ...(await pythonOptions(config)) });
  try {
    await maker.ready;
    await folder.write(await takeSnapshot(maker, config));
    return { ...config, snapshot: folder.name };
  } catch (error) {
    emit("log", { level: "warn", message: `no snapshot of Python was made, so it starts slowly: ${error.message}` });
    return { ...config, snapshot: null };
  } finally {
    await maker.dispose();
  }
}

async function takeSnapshot(instance, config) {
  const response = await ask(instance, config, config.worker.name, "snapshot");
  if (!response.ok) throw new Error((await response.json()).error);
  return Buffer.from(await response.arrayBuffer());
}

async function boot(config) {
  await upload(miniflare, config);
  await bootAll(miniflare, config);
  emit("ready", await urlsOf(miniflare, config));
}

async function start(given) {
  const config = await withSnapshot(given);
  miniflare = new Miniflare({ ...sharedOptions(config, (line) => emit("log", line)), ...(await toMiniflareOptions(config)) });
  await miniflare.ready;
  await boot(config);
}

/** Try the new sources in a runtime of their own first: until they start, the old ones go on serving. */
async function reload(given) {
  const config = await withSnapshot(given);
  const trial = new Miniflare({ ...sharedOptions({ ...config, state: null }, () => {}), ...(await uploadOptions(config)) });
  try {
    await trial.ready;
    await upload(trial, config);
  } finally {
    await trial.dispose();
  }
  await miniflare.setOptions({ ...sharedOptions(config, (line) => emit("log", line)), ...(await toMiniflareOptions(config)) });
  await boot(config);
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
