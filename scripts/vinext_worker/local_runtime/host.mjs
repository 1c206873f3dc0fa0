// The process that runs workerd through miniflare. Python starts it, and they exchange JSON lines: commands with a configuration on
// stdin, events on stdout. The process ends when its stdin is closed, so that it does not outlive Python.

import { mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { Bytecode } from "./bytecode.mjs";
import { Door } from "./door.mjs";
import { KeptFile } from "./kept.mjs";
import { pack } from "./packs.mjs";
import { CONTROL, DIRECT, pythonOptions, serviceNames, toMiniflareOptions, UPLOADER, workerNames } from "./options.mjs";

// miniflare is in the node_modules of the tools, not next to this file.
const { Log, LogLevel, Miniflare, Response } = createRequire(`${process.argv[2]}/`)("miniflare");

/** The runtime that serves, and the address in front of it, if requests are reported. */
let miniflare, door;

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
  if (!config.usesSnapshot) return { ...config, snapshot: null };
  const file = await KeptFile.open(config, ".snapshot");
  if (file.exists()) return { ...config, snapshot: file.name };
  const maker = new Miniflare({ ...sharedOptions({ ...config, state: null }, () => {}), ...(await pythonOptions(config)) });
  try {
    await maker.ready;
    await file.write(await takeSnapshot(maker, config));
    return { ...config, snapshot: file.name };
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

/**
 * Return the configuration with the service that the Workers ask for the project's files and their bytecode. As modules, encoding the
 * files for workerd's configuration would take a second.
 */
async function withFiles(config) {
  const files = await Promise.all(config.worker.files.map(async ([name, file]) => [name, await readFile(file)]));
  const bytecode = new Bytecode(await KeptFile.open(config, ".bytecode"), files);
  const answers = {
    "GET /files": () => pack(files),
    "GET /bytecode": () => bytecode.read(),
    "POST /bytecode": async (request) => await bytecode.add(await request.arrayBuffer()),
  };
  const service = async (request) => new Response(await answers[`${request.method} ${new URL(request.url).pathname}`](request));
  return { ...config, filesService: service };
}

/** Start everything, with Python in each isolate; throw, with nothing left running, if the main module does not import. */
async function run(given) {
  const config = await withFiles(await withSnapshot({ ...given, state: given.state ?? temporaryState() }));
  const instance = new Miniflare({ ...sharedOptions(config, (line) => emit("log", line)), ...(await toMiniflareOptions(config)) });
  try {
    await instance.ready;
    await upload(instance, config);
    await bootAll(instance, config);
    return { instance, urls: await urlsOf(instance, config) };
  } catch (error) {
    await instance.dispose();
    throw error;
  }
}

/** Open the door first, so that whoever asks early waits. */
async function start(config) {
  if (config.front) door = await Door.open(config);
  serve(await run(config));
}

/** Until the new sources have started, the old ones go on serving. Only one runtime at a time uses the stores. */
async function reload(config) {
  const next = await run(config);
  await door?.hold();
  await miniflare.dispose();
  serve(next);
}

function serve({ instance, urls }) {
  miniflare = instance;
  door?.leadTo(urls.urls[0]);
  emit("ready", door === undefined ? urls : { ...urls, urls: [door.url, ...urls.urls.slice(1)] });
}

let temporary;

/** The stores' folder where nothing is to be kept: the same one for a runtime and the one that takes its place. */
function temporaryState() {
  if (temporary === undefined) {
    temporary = mkdtempSync(path.join(tmpdir(), "vinext-worker-"));
    process.on("exit", () => rmSync(temporary, { recursive: true, force: true }));
  }
  return temporary;
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
