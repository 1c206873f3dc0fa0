// The load generator: a process of its own that speaks HTTP/1.1 over plain sockets, so that it costs little and its cost is not the
// Worker's. Reads one job a line on stdin, as JSON, and writes one result a line on stdout.
//
// A job: {host, port, requests: [{path, headers}], order: [index, …], connections}. The requests of `order` are taken by the connections one
// after the other, each connection waiting for its answer before it takes the next.

import { connect } from "node:net";
import { createInterface } from "node:readline";

const END_OF_HEAD = Buffer.from("\r\n\r\n");
const END_OF_CHUNKS = Buffer.from("\r\n0\r\n\r\n");
const CACHE_FIELDS = ["x-vinext-cache", "x-opennext-cache", "x-nextjs-cache"];

/** One connection. `ask(bytes)` resolves with what came back: status, cache state and size of the body. */
class Connection {
  constructor({ host, port }) {
    this.socket = connect({ host, port, noDelay: true });
    this.socket.on("data", (data) => this.receive(data));
    this.socket.on("error", (error) => this.waiting?.reject(error));
    this.socket.on("close", () => this.waiting?.reject(new Error("the connection was closed before the answer was whole")));
  }

  ask(bytes) {
    this.head = null;
    this.buffer = null;
    this.received = 0;
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
      this.socket.write(bytes);
    });
  }

  receive(data) {
    if (this.head === null) {
      this.buffer = this.buffer === null ? data : Buffer.concat([this.buffer, data]);
      const end = this.buffer.indexOf(END_OF_HEAD);
      if (end < 0) return;
      this.head = readHead(this.buffer.latin1Slice(0, end));
      data = this.buffer.subarray(end + END_OF_HEAD.length);
      // The end of a chunked body is looked for with the line break of the head before it.
      this.tail = Buffer.from("\r\n");
    }
    this.received += data.length;
    if (this.isWhole(data)) {
      const { resolve } = this.waiting;
      this.waiting = null;
      resolve({ ...this.head, bytes: this.received });
    }
  }

  isWhole(data) {
    if (this.head.length !== null) return this.received >= this.head.length;
    this.tail = Buffer.concat([this.tail, data.subarray(-END_OF_CHUNKS.length)]).subarray(-END_OF_CHUNKS.length);
    return this.tail.equals(END_OF_CHUNKS);
  }

  close() {
    this.socket.destroy();
  }
}

function readHead(text) {
  const lower = text.toLowerCase();
  const field = (name) => {
    const at = lower.indexOf(`\r\n${name}:`);
    return at < 0 ? null : lower.slice(at + name.length + 3, lower.indexOf("\r\n", at + 2) >>> 0).trim();
  };
  const status = Number(text.slice(9, 12));
  const length = field("content-length");
  const hasNoBody = status === 304 || status === 204;
  const cache = CACHE_FIELDS.map(field).find((value) => value !== null) ?? "none";
  return { status, length: hasNoBody ? 0 : length === null ? null : Number(length), cache };
}

function written({ path, headers = {} }, { host, port }) {
  const lines = Object.entries({ Host: `${host}:${port}`, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`GET ${path} HTTP/1.1\r\n${lines.join("")}\r\n`);
}

async function run(job) {
  const requests = job.requests.map((request) => written(request, job));
  const connections = Array.from({ length: job.connections }, () => new Connection(job));
  const milliseconds = [];
  const answers = {};
  let bytes = 0;
  let next = 0;
  const start = performance.now();
  const work = async (connection) => {
    while (next < job.order.length) {
      const request = requests[job.order[next++]];
      const asked = performance.now();
      const answer = await connection.ask(request);
      milliseconds.push(performance.now() - asked);
      const kind = `${answer.status} ${answer.cache}`;
      answers[kind] = (answers[kind] ?? 0) + 1;
      bytes += answer.bytes;
    }
  };
  try {
    await Promise.all(connections.map(work));
  } finally {
    connections.forEach((connection) => connection.close());
  }
  const seconds = (performance.now() - start) / 1000;
  return { seconds, milliseconds, bytes, answers };
}

createInterface({ input: process.stdin }).on("line", async (line) => {
  const result = await run(JSON.parse(line)).catch((error) => ({ error: error.message }));
  process.stdout.write(`${JSON.stringify(result)}\n`);
});
