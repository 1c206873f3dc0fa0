/**
 * What an app's own Worker entry does with requests before vinext sees them. It is code that anybody may write, so it counts as
 * one that answers any request itself, unless it is plain that it passes all of them on.
 */
import { existsSync, realpathSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { isAbsolute, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

import { bare, parsedSource } from "./source.js";

const ADAPTERS_ENTRY = "vinext-worker-adapter/worker";
const ADAPTERS_FILE = new URL("./worker.js", import.meta.url);
const VINEXTS_ENTRIES = ["vinext/server/fetch-handler", "vinext/server/app-router-entry", "vinext/server/pages-router-entry"];
const ENTRY_PLUGIN = "vite-plugin-cloudflare:virtual-modules";
const ENTRY_MODULE = "virtual:cloudflare/user-entry";
/** The environments of Vite that an app's Worker is built in, of the App Router and of the Pages Router. */
const ENVIRONMENTS = ["rsc", "ssr"];

/**
 * Return what the app's Worker entry is called if it may touch requests; null if vinext's own code gets all of them.
 *
 * @param {{root: string, server: string, plugins: readonly unknown[]}} build `server` is the folder of its Worker
 */
export async function touchingEntry({ root, server, plugins }) {
  try {
    const [main, ...others] = await mainsOf(plugins, [...ENVIRONMENTS, await nameOf(server)]);
    if (main === undefined || others.length > 0) throw new Error("Cloudflare's plugin does not name it");
    if (isOurs(main)) return null;
    if (!isAbsolute(main)) return main;
    const name = relative(root, main);
    return passesAllOn(await parsedSource(root, main)) ? null : name;
  } catch (error) {
    return `which cannot be read (${error.message})`;
  }
}

/** Return `main` of the Worker as Cloudflare's plugin has read it: of any file, environment or option. */
async function mainsOf(plugins, environments) {
  const plugin = (await flat(plugins)).find(({ name }) => name === ENTRY_PLUGIN);
  const resolveId = plugin?.resolveId.handler ?? plugin?.resolveId;
  const mains = [];
  for (const name of new Set(environments)) {
    const environment = { name };
    if (!plugin?.applyToEnvironment(environment)) continue;
    const { id } = await resolveId.call({ environment, resolve: async (main) => ({ id: main }) }, ENTRY_MODULE);
    mains.push(id);
  }
  return mains;
}

async function flat(plugins) {
  const resolved = await plugins;
  return Array.isArray(resolved) ? (await Promise.all(resolved.map(flat))).flat() : [resolved].filter(Boolean);
}

/** Return the environment that the plugin names after the Worker, if the Vite configuration names none. */
async function nameOf(server) {
  const file = join(server, "wrangler.json");
  if (!existsSync(file)) return "";
  const { topLevelName, name } = JSON.parse(await readFile(file, "utf8"));
  return (topLevelName ?? name ?? "").replaceAll("-", "_");
}

function isOurs(main) {
  return main === ADAPTERS_ENTRY || (isAbsolute(main) && realpathSync(main) === realpathSync(fileURLToPath(ADAPTERS_FILE)));
}

/**
 * Return whether a Worker entry gives every request to vinext and every response of it to the visitor, as one does that only adds
 * handlers of other events, or classes of Durable Objects.
 */
export function passesAllOn({ body }) {
  // A statement that runs on its own may change what is imported.
  if (!body.every(({ type }) => /^(?:Import|Export)|^(?:Variable|Function|Class)Declaration$|^TS/.test(type))) return false;
  const names = namesOf(body);
  const exported = body.find(({ type }) => type === "ExportDefaultDeclaration")?.declaration;
  if (!exported) return body.some(exportsOurs);
  const value = valueOf(exported, names);
  if (isNamed(value, names.ours)) return true;
  if (value?.type !== "CallExpression" || !isNamed(value.callee, names.wrapper)) return false;
  return isPassingOn(valueOf(value.arguments[0], names), names.vinext);
}

/** Return the local names of what is imported, and the values of constants. */
function namesOf(body) {
  const imported = (sources, name) => {
    const imports = body.filter(({ type, source }) => type === "ImportDeclaration" && sources.includes(source.value));
    const isIt = ({ type, imported }) => (type === "ImportDefaultSpecifier" ? "default" : imported?.name) === name;
    return imports.flatMap(({ specifiers }) => specifiers).find(isIt)?.local.name;
  };
  const constants = body.filter(({ type, kind }) => type === "VariableDeclaration" && kind === "const");
  return {
    vinext: imported(VINEXTS_ENTRIES, "default"),
    ours: imported([ADAPTERS_ENTRY], "default"),
    wrapper: imported([ADAPTERS_ENTRY], "withVinextWorker"),
    values: new Map(constants.flatMap(({ declarations }) => declarations.map(({ id, init }) => [id.name, init]))),
  };
}

/** Return whether a statement is `export { default } from` the adapter's entry. */
function exportsOurs({ type, source, specifiers }) {
  if (type !== "ExportNamedDeclaration" || source?.value !== ADAPTERS_ENTRY) return false;
  return specifiers.some(({ local, exported }) => local.name === "default" && exported.name === "default");
}

function valueOf(node, { values }) {
  const value = bare(node);
  return value?.type === "Identifier" && values.has(value.name) ? bare(values.get(value.name)) : value;
}

function isNamed(node, name) {
  return node?.type === "Identifier" && name !== undefined && node.name === name;
}

/** Return whether a Worker is vinext's, or an object whose `fetch` is. */
function isPassingOn(worker, vinext) {
  if (isNamed(worker, vinext)) return true;
  if (worker?.type !== "ObjectExpression") return false;
  const known = worker.properties.every((item) =>
    item.type === "SpreadElement" ? isNamed(bare(item.argument), vinext) : !item.computed,
  );
  const own = worker.properties.filter(({ key }) => (key?.name ?? key?.value) === "fetch");
  return known && own.every(({ value }) => isVinextsFetch(bare(value), vinext));
}

/** Return whether a function is `vinext.fetch`, or only calls it with what it is given. */
function isVinextsFetch(value, vinext) {
  const isFetch = (node) =>
    node?.type === "MemberExpression" && !node.computed && isNamed(node.object, vinext) && node.property.name === "fetch";
  if (isFetch(value)) return true;
  if (!/Function/.test(value?.type)) return false;
  const { body, params } = value;
  const [statement, ...others] = body.type === "BlockStatement" ? body.body : [{ type: "ReturnStatement", argument: body }];
  if (statement?.type !== "ReturnStatement" || others.length > 0) return false;
  const returned = bare(statement.argument);
  const call = bare(returned?.type === "AwaitExpression" ? returned.argument : returned);
  if (call?.type !== "CallExpression" || !isFetch(call.callee)) return false;
  return params.every(({ type }) => type === "Identifier") && call.arguments.every((given, at) => isNamed(given, params[at]?.name));
}
