// Keeps the snapshot of a started interpreter's heap in a folder that several runtimes share. The snapshot only saves time.

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { OWN_MODULES } from "./options.mjs";

/** Another release may be about to read its own snapshot for so long. */
const KEPT_MILLISECONDS = 24 * 3600 * 1000;

export class SnapshotFolder {
  constructor(folder, name) {
    this.folder = folder;
    this.name = name;
  }

  /** The file's name stands for a release of Pyodide and of this code: a snapshot of another release cannot be used. */
  static async open({ cache, pyodide }) {
    await mkdir(cache, { recursive: true });
    const hash = createHash("sha256");
    for (const file of [path.join(pyodide, "package.json"), ...OWN_MODULES]) hash.update(await readFile(file));
    return new SnapshotFolder(cache, `python-${hash.digest("hex").slice(0, 16)}.snapshot`);
  }

  has() {
    return existsSync(path.join(this.folder, this.name));
  }

  /** Write the snapshot, which gets its name once it is complete, and remove old ones of other releases. */
  async write(contents) {
    const file = path.join(this.folder, this.name);
    await writeFile(`${file}.${process.pid}`, contents);
    await rename(`${file}.${process.pid}`, file);
    const others = (await readdir(this.folder)).filter((name) => name.endsWith(".snapshot") && name !== this.name);
    await Promise.all(others.map((name) => removeOld(path.join(this.folder, name))));
  }
}

async function removeOld(file) {
  const made = await stat(file).catch(() => undefined);
  if (made !== undefined && Date.now() - made.mtimeMs > KEPT_MILLISECONDS) await rm(file, { force: true });
}
