// What a start leaves for the next one, as files in a folder that several runtimes share: the heap of a started interpreter, and the
// bytecode of a project. Nothing depends on them but time, so a failure is never more than a line in the log.

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, readdir, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import path from "node:path";
import { OWN_MODULES } from "./options.mjs";

// Each project has a file of its own; those of projects that are gone would never be removed otherwise.
const PROJECTS_KEPT = 16;

/** The files of a release of Pyodide and this code: those of any other are useless. */
export class StartCache {
  constructor(folder, release) {
    this.folder = folder;
    this.release = release;
  }

  static async open({ cache, pyodide }) {
    await mkdir(cache, { recursive: true });
    const hash = createHash("sha256");
    for (const file of [path.join(pyodide, "package.json"), ...OWN_MODULES]) hash.update(await readFile(file));
    return new StartCache(cache, hash.digest("hex").slice(0, 16));
  }

  get snapshotName() {
    return `python-${this.release}.snapshot`;
  }

  /** What a file has is compared with the sources, so its name need only tell projects apart. */
  bytecodeName({ worker }) {
    const project = createHash("sha256").update(JSON.stringify(worker.folders)).digest("hex").slice(0, 16);
    return `python-${this.release}-${project}.bytecode`;
  }

  has(name) {
    return existsSync(path.join(this.folder, name));
  }

  /** Write a file that others may be reading: it is renamed when it is whole. */
  async write(name, contents) {
    const file = path.join(this.folder, name);
    await writeFile(`${file}.${process.pid}`, contents);
    await rename(`${file}.${process.pid}`, file);
    await this.#removeOld();
  }

  /**
   * The file to import from, null where there is none: the project's own, or else the one that was used last, because projects have
   * the SDK in common at least. It is then among those that are kept.
   */
  async bytecodeFor(config) {
    const own = this.bytecodeName(config);
    const name = this.has(own) ? own : (await this.#oldestFirst(await this.#bytecodeNames())).at(-1);
    if (name === undefined) return null;
    const now = new Date();
    await utimes(path.join(this.folder, name), now, now).catch(() => {});
    return name;
  }

  /** An upgrade makes new files, and nothing would ever read the old ones again. */
  async #removeOld() {
    const names = (await readdir(this.folder)).filter((name) => /\.(snapshot|bytecode)$/.test(name));
    const useless = names.filter((name) => !name.startsWith(`python-${this.release}`));
    const unused = (await this.#oldestFirst(await this.#bytecodeNames())).slice(0, -PROJECTS_KEPT);
    await Promise.all([...useless, ...unused].map((name) => rm(path.join(this.folder, name), { force: true })));
  }

  async #bytecodeNames() {
    return (await readdir(this.folder)).filter((name) => name.startsWith(`python-${this.release}-`) && name.endsWith(".bytecode"));
  }

  async #oldestFirst(names) {
    // Another runtime may have removed it by now.
    const used = async (name) => [name, await stat(path.join(this.folder, name)).then(({ mtimeMs }) => mtimeMs, () => 0)];
    const found = await Promise.all(names.map(used));
    return found.sort(([, one], [, other]) => one - other).map(([name]) => name);
  }
}
