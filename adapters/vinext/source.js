/**
 * What an app's own packages say while it is built, and what its sources say once they are parsed.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

/** Import a module of a package as Node.js would from the app's folder; the adapter itself may be linked from elsewhere. */
export async function fromApp(root, name, entry) {
  for (let folder = root; ; folder = dirname(folder)) {
    const packageFolder = join(folder, "node_modules", name);
    if (existsSync(join(packageFolder, "package.json"))) {
      const { exports } = JSON.parse(await readFile(join(packageFolder, "package.json"), "utf8"));
      const target = exports[entry]?.import ?? exports[entry]?.default ?? exports[entry];
      return await import(pathToFileURL(join(packageFolder, target)).href);
    }
    if (folder === dirname(folder)) throw new Error(`${name} is not installed for ${root}`);
  }
}

/** Return a source file of the app as an ESTree, by Vite's own parser. */
export async function parsedSource(root, file) {
  const { parseSync, parseAst } = await fromApp(root, "vite", ".");
  const code = await readFile(file, "utf8");
  const lang = file.endsWith("x") ? "tsx" : "ts";
  return parseSync ? parseSync(file, code, { lang }).program : parseAst(code, { lang });
}

/** Return an expression without parentheses and TypeScript's assertions around it. */
export function bare(node) {
  while (/^(?:TS(?:As|Satisfies|NonNull)|Parenthesized)Expression$/.test(node?.type)) node = node.expression;
  return node;
}
