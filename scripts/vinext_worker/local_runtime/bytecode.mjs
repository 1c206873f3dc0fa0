// Keeps the bytecode of the project's modules and of its packages, so that Python compiles a source once, and not at each start. The
// bytecode is found by the source's path and contents, so that of a changed source never is. One file has it for all projects, because
// most of their modules are the same. It only saves time.

import { createHash } from "node:crypto";
import { pack, unpack } from "./packs.mjs";

/** What has not been used for the longest time goes. */
const KEPT_BYTES = 32 * 1024 * 1024;

export class Bytecode {
  /** `file` is where it is kept; `files` are the project's, as pairs of a path in the Worker and the contents. */
  constructor(file, files) {
    this.file = file;
    const sources = files.filter(([path]) => path.endsWith(".py"));
    this.keys = new Map(sources.map(([path, contents]) => [path, createHash("sha256").update(`${path}\0`).update(contents).digest("hex")]));
  }

  /** Return a pack of the bytecode of this project's sources, by their paths. */
  async read() {
    const kept = await this.kept();
    return pack([...this.keys].filter(([, key]) => kept.has(key)).map(([path, key]) => [path, kept.get(key)]));
  }

  /** Keep a pack of the bytecode that Python had to make, and of the rest as much as there is room for. */
  async add(packed) {
    const kept = await this.kept();
    const made = [...unpack(packed)].map(([path, bytes]) => [this.keys.get(path), bytes]);
    const used = [...this.keys.values()].filter((key) => kept.has(key)).map((key) => [key, kept.get(key)]);
    const all = new Map([...made, ...used, ...kept]);
    let size = 0;
    await this.file.write(pack([...all].filter(([, bytes]) => (size += bytes.length) <= KEPT_BYTES)));
  }

  /** What cannot be read is made again. */
  async kept() {
    try {
      return unpack(new Uint8Array(await this.file.read()).buffer);
    } catch {
      return new Map();
    }
  }
}
