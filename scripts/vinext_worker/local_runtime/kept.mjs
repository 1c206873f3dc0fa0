// Keeps what one start makes for the next ones, in a folder that several runtimes share: the snapshot of a started interpreter's heap,
// and bytecode. It only saves time.

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { OWN_MODULES } from "./options.mjs";

/** Another release may be about to read its own file for so long. */
const KEPT_MILLISECONDS = 24 * 3600 * 1000;

export class KeptFile {
  constructor(folder, name) {
    this.folder = folder;
    this.name = name;
    this.path = path.join(folder, name);
  }

  /** The file's name stands for a release of Pyodide and of this code: what another release has kept cannot be used. */
  static async open({ cache, pyodide }, suffix) {
    await mkdir(cache, { recursive: true });
    const hash = createHash("sha256");
    for (const file of [path.join(pyodide, "package.json"), ...OWN_MODULES]) hash.update(await readFile(file));
    return new KeptFile(cache, `python-${hash.digest("hex").slice(0, 16)}${suffix}`);
  }

  exists() {
    return existsSync(this.path);
  }

  async read() {
    return await readFile(this.path);
  }

  /** Write the contents to the file, which gets its name once it is complete, and remove old ones of other releases. */
  async write(contents) {
    const unfinished = `${this.path}.${process.pid}`;
    await writeFile(unfinished, contents);
    await rename(unfinished, this.path);
    const suffix = path.extname(this.name);
    const others = (await readdir(this.folder)).filter((name) => name.endsWith(suffix) && name !== this.name);
    await Promise.all(others.map((name) => removeOld(path.join(this.folder, name))));
  }
}

async function removeOld(file) {
  const made = await stat(file).catch(() => undefined);
  if (made !== undefined && Date.now() - made.mtimeMs > KEPT_MILLISECONDS) await rm(file, { force: true });
}
