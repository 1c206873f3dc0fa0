/**
 * Python as a program: npm's Pyodide, with this machine's files. uv asks it which wheels and which markers hold for a Worker.
 *
 * Arguments: the folder of the npm package, the program's own path, and Python's arguments.
 */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [pyodide, program, ...args] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(join(pyodide, "pyodide.mjs")).href);

// Pyodide has folders of these names itself.
const OWN = new Set(["dev", "lib", "proc", "sys"]);

function mountFolders(FS) {
  for (const name of readdirSync("/")) {
    const folder = `/${name}`;
    if (OWN.has(name) || !statSync(folder, { throwIfNoEntry: false })?.isDirectory()) continue;
    FS.mkdirTree(folder);
    FS.mount(FS.filesystems.NODEFS, { root: folder }, folder);
  }
  FS.chdir(process.cwd());
}

const python = await loadPyodide({ args, env: { ...process.env, PYTHONINSPECT: "" }, fsInit: mountFolders, _sysExecutable: program });
try {
  process.exitCode = python._module._run_main();
} catch (error) {
  if (error.constructor.name !== "ExitStatus") throw error;
  process.exitCode = error.status;
}
process.exit();
