/**
 * Edits of JavaScript, TypeScript and JSON with comments. A parser says where something belongs, and there it is put into the text,
 * so that everything else stays as it is. Reads a JSON document from standard input, { tools, operation, text, ... }, and writes
 * one: { text }, { config }, or { problems: [{ line, message }] } if the text is not what can be edited; then nothing has changed.
 */
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const request = JSON.parse(readFileSync(0, "utf8"));
const { parse, parseExpression } = createRequire(request.tools)("@babel/parser");

const ADAPTER = "vinext-worker-adapter";

class Problem extends Error {
  constructor(node, message) {
    super(message);
    this.line = node?.loc?.start.line ?? 1;
  }
}

/** A text and what will be put into it. */
class Edited {
  #edits = [];

  constructor(text) {
    this.text = text;
  }

  replace(start, end, text) {
    this.#edits.push({ start, end, text });
  }

  insert(place, text) {
    this.replace(place, place, text);
  }

  toString() {
    // From the end, so that earlier places stay right; at one place, what came first stands first.
    const last = this.#edits.map((edit, index) => ({ ...edit, index })).sort((a, b) => b.start - a.start || b.index - a.index);
    return last.reduce((text, { start, end, text: added }) => text.slice(0, start) + added + text.slice(end), this.text);
  }

  /** The white space that a place's line begins with. */
  indentation(place) {
    const start = this.text.lastIndexOf("\n", place - 1) + 1;
    return this.text.slice(start, place).match(/^[ \t]*/)[0];
  }

  /** Put items into a list or an object, behind one of its items, in the layout that it has. */
  add(container, items, added, behind = items.at(-1)) {
    const closing = container.end - 1;
    if (!behind) {
      const inner = this.text.slice(container.start + 1, closing);
      if (inner.trim() === "") this.replace(container.start + 1, closing, container.type === "ArrayExpression" ? added.join(", ") : ` ${added.join(", ")} `);
      else this.insert(closing, `${added.join(", ")}\n${this.indentation(container.start)}`);
      return;
    }
    const { comma, end } = this.#behind(behind.end);
    const isLast = behind === items.at(-1);
    if (!this.text.slice(container.start, container.end).includes("\n")) {
      this.insert(behind.end, added.map((item) => `, ${item}`).join(""));
      return;
    }
    const indent = `\n${this.indentation(behind.start)}`;
    if (comma === null) this.insert(behind.end, ",");
    const hasEnd = comma !== null || !isLast;
    this.insert(end, added.map((item, index) => `${indent}${item}${hasEnd || index < added.length - 1 ? "," : ""}`).join(""));
  }

  /** Where the comma behind an item is, and where the comments end that stand behind it on its line. */
  #behind(place) {
    const [, before, comma, after] = /^((?:\s|\/\*[^]*?\*\/|\/\/[^\n]*)*)(,?)((?:[ \t]|\/\*[^\n]*?\*\/|\/\/[^\n]*)*)/.exec(this.text.slice(place));
    if (comma === "") {
      const [own] = /^(?:[ \t]|\/\*[^\n]*?\*\/|\/\/[^\n\r]*)*/.exec(this.text.slice(place));
      return { comma: null, end: place + own.trimEnd().length };
    }
    return { comma: place + before.length, end: place + before.length + 1 + after.trimEnd().length };
  }
}

/** Yield every node of a tree, parents first. */
function* nodes(tree, parent = null) {
  if (tree === null || typeof tree !== "object") return;
  if (Array.isArray(tree)) {
    for (const item of tree) yield* nodes(item, parent);
    return;
  }
  if (typeof tree.type !== "string") return;
  yield [tree, parent];
  for (const [name, value] of Object.entries(tree)) {
    if (!["loc", "original", "tokens", "comments", "extra"].includes(name)) yield* nodes(value, tree);
  }
}

/** Return an expression without parentheses and TypeScript's assertions around it. */
function bare(node) {
  while (/^(TS(As|Satisfies|NonNull)Expression|ParenthesizedExpression)$/.test(node?.type)) node = node.expression;
  return node;
}

function importedAs(program, source, imported) {
  for (const statement of program.body) {
    if (statement.type !== "ImportDeclaration" || statement.source.value !== source || statement.importKind === "type") continue;
    for (const specifier of statement.specifiers) {
      const name = specifier.type === "ImportDefaultSpecifier" ? "default" : specifier.imported?.name;
      if (name === imported && specifier.importKind !== "type") return specifier.local.name;
    }
  }
  return null;
}

function callsOf(program, name) {
  const found = name === null ? [] : [...nodes(program)];
  return found.filter(([node]) => node.type === "CallExpression" && node.callee.type === "Identifier" && node.callee.name === name);
}

function keyOf(property) {
  if (property.computed || !property.key) return null;
  return property.key.type === "Identifier" ? property.key.name : property.key.value;
}

const propertyOf = (object, name) => object.properties.find((property) => keyOf(property) === name);

/** The object that is a call's first argument; null if there is no argument. */
function optionsOf(call, what, byHand) {
  if (call.arguments.length === 0) return null;
  const options = bare(call.arguments[0]);
  if (options?.type !== "ObjectExpression") throw new Problem(call, `${what} has options that are no object written here; add to them by hand: ${byHand}`);
  const spread = options.properties.find((property) => property.type === "SpreadElement");
  if (spread) throw new Problem(spread, `${what} has options that are spread from elsewhere, which may hold the same ones; add by hand: ${byHand}`);
  return options;
}

/** Put options into a call that may have none. */
function addOptions(edited, call, options, added) {
  if (added.length === 0) return;
  if (options !== null) {
    edited.add(options, options.properties, added);
    return;
  }
  const indent = edited.indentation(call.start);
  const lines = added.map((item) => `\n${indent}  ${item},`);
  edited.insert(call.end - 1, added.length === 1 ? `{ ${added[0]} }` : `{${lines.join("")}\n${indent}}`);
}

function isNothing(node) {
  return (node.type === "Identifier" && node.name === "undefined") || node.type === "NullLiteral" || (node.type === "BooleanLiteral" && !node.value);
}

function parsed() {
  try {
    return parse(request.text, { sourceType: "module", plugins: ["typescript"], createParenthesizedExpressions: true }).program;
  } catch (error) {
    throw new Problem({ loc: { start: { line: error.loc?.line ?? 1 } } }, `it does not parse: ${error.message}`);
  }
}

/** Add imports of names behind the last import, in the quotes that this one has. */
function addImports(edited, program, imports) {
  const last = program.body.findLast((statement) => statement.type === "ImportDeclaration");
  const written = last ? request.text.slice(last.start, last.end) : "";
  const quote = written.includes("'") ? "'" : '"';
  const end = last && !written.endsWith(";") ? "" : ";";
  const lines = imports.map(([name, source]) => `import { ${name} } from ${quote}${source}${quote}${end}`);
  if (last) edited.insert(last.end, lines.map((line) => `\n${line}`).join(""));
  else edited.insert(0, lines.map((line) => `${line}\n`).join(""));
}

/** Add the adapter and pre-rendering to the Vite configuration of a vinext app, and Cloudflare's plugin if it is missing. */
function vite() {
  const program = parsed();
  const edited = new Edited(request.text);
  const vinext = importedAs(program, "vinext", "default");
  if (vinext === null) throw new Problem(null, `vinext is not imported here by \`import vinext from "vinext"\`; ${byHandForVite()}`);
  const calls = callsOf(program, vinext);
  if (calls.length !== 1) {
    const where = calls.length === 0 ? null : calls[1][0];
    throw new Problem(where, `${vinext}() is called ${calls.length} times, and once is what can be edited; ${byHandForVite()}`);
  }
  const [call, parent] = calls[0];
  const imports = [];
  const adapter = importedAs(program, ADAPTER, "vinextWorkerCache") ?? "vinextWorkerCache";
  const cdn = `${adapter}()`;
  const prerendered = '{ routes: "*" }';
  const options = optionsOf(call, `${vinext}()`, `cache: { cdn: ${cdn} }, prerender: ${prerendered}`);
  const added = [];
  const cache = options && propertyOf(options, "cache");
  if (cache) addCdn(edited, cache, cdn, adapter);
  else added.push(`cache: { cdn: ${cdn} }`);
  const prerender = options && propertyOf(options, "prerender");
  if (!prerender) added.push(`prerender: ${prerendered}`);
  else if (isNothing(bare(prerender.value))) edited.replace(prerender.value.start, prerender.value.end, prerendered);
  addOptions(edited, call, options, added);
  const cloudflare = importedAs(program, "@cloudflare/vite-plugin", "cloudflare");
  const environment = `viteEnvironment: ${request.router === "app" ? '{ name: "rsc", childEnvironments: ["ssr"] }' : '{ name: "ssr" }'}`;
  if (cloudflare === null) {
    if (parent.type !== "ArrayExpression") {
      throw new Problem(call, `the list of plugins is not written here; import { cloudflare } from "@cloudflare/vite-plugin", and add behind ${vinext}(): cloudflare({ ${environment} })`);
    }
    edited.add(parent, parent.elements, [`cloudflare({ ${environment} })`], call);
    imports.push(["cloudflare", "@cloudflare/vite-plugin"]);
  } else {
    const plugins = callsOf(program, cloudflare);
    if (plugins.length !== 1) throw new Problem(plugins[1]?.[0], `${cloudflare}() is called ${plugins.length} times; call it once, with ${environment}`);
    const settings = optionsOf(plugins[0][0], `${cloudflare}()`, environment);
    if (!settings || !propertyOf(settings, "viteEnvironment")) addOptions(edited, plugins[0][0], settings, [environment]);
  }
  if (request.router === "pages") outputOfPages(program, edited);
  if (importedAs(program, ADAPTER, "vinextWorkerCache") === null) imports.push(["vinextWorkerCache", ADAPTER]);
  addImports(edited, program, imports);
  return { text: edited.toString() };
}

function addCdn(edited, cache, cdn, adapter) {
  const slots = bare(cache.value);
  if (slots?.type !== "ObjectExpression") throw new Problem(cache, `cache is set already; write instead: cache: { cdn: ${cdn} }`);
  const spread = slots.properties.find((item) => item.type === "SpreadElement");
  if (spread) throw new Problem(spread, `cache is spread from elsewhere; add by hand: cdn: ${cdn}`);
  const own = propertyOf(slots, "cdn");
  if (!own) edited.add(slots, slots.properties, [`cdn: ${cdn}`]);
  else if (isNothing(bare(own.value))) edited.replace(own.value.start, own.value.end, cdn);
  else if (callsOf(own, adapter).length === 0) throw new Problem(own, `cache.cdn is set already; write instead: cdn: ${cdn}`);
}

/** An app without an `app` folder is built into folders of other names; vinext pre-renders it from dist/server. */
function outputOfPages(program, edited) {
  const wanted = '{ client: { build: { outDir: "dist/client" } }, ssr: { build: { outDir: "dist/server" } } }';
  const config = exported(program);
  if (!config) throw new Problem(null, `the exported configuration is no object written here; add to it by hand: environments: ${wanted}`);
  const present = propertyOf(config, "environments");
  if (!present) {
    edited.add(config, config.properties, [`environments: ${wanted}`]);
    return;
  }
  const names = [...nodes(present)].filter(([node]) => node.type === "StringLiteral").map(([node]) => node.value);
  if (!names.includes("dist/server")) throw new Problem(present, `environments is set already; build the app into these folders: ${wanted}`);
}

/** The object that a configuration exports: as it is, by a call such as defineConfig, from a function, or through a variable. */
function exported(program) {
  let value = bare(program.body.find((statement) => statement.type === "ExportDefaultDeclaration")?.declaration);
  for (let step = 0; step < 5 && value && value.type !== "ObjectExpression"; step++) {
    const { type, name } = value;
    if (type === "CallExpression") value = bare(value.arguments[0]);
    else if (type === "ArrowFunctionExpression" && value.body.type !== "BlockStatement") value = bare(value.body);
    else if (type === "Identifier") value = bare([...nodes(program)].find(([node]) => node.type === "VariableDeclarator" && node.id.name === name)?.[0].init);
    else return null;
  }
  return value?.type === "ObjectExpression" && !value.properties.some((item) => item.type === "SpreadElement") ? value : null;
}

function byHandForVite() {
  return 'import { vinextWorkerCache } from "vinext-worker-adapter", and give vinext() these options: cache: { cdn: vinextWorkerCache() }, prerender: { routes: "*" }';
}

/** Wrap what a Worker's own entry exports in `withVinextWorker`. */
function workerEntry() {
  const program = parsed();
  const edited = new Edited(request.text);
  if (program.body.some((statement) => statement.type === "ImportDeclaration" && statement.source.value === `${ADAPTER}/worker`)) return { text: request.text };
  const exporting = program.body.find((statement) => statement.type === "ExportDefaultDeclaration");
  const value = exporting?.declaration;
  if (!value || /Declaration$/.test(value.type)) {
    throw new Problem(exporting, 'import { withVinextWorker } from "vinext-worker-adapter/worker", and export by default withVinextWorker(…) of the Worker');
  }
  edited.insert(value.start, "withVinextWorker(");
  edited.insert(value.end, ")");
  addImports(edited, program, [["withVinextWorker", `${ADAPTER}/worker`]]);
  return { text: edited.toString() };
}

const WRANGLER_NAMES = {
  name: "name",
  entrypoint: "main",
  compatibilityDate: "compatibility_date",
  compatibilityFlags: "compatibility_flags",
  workersDev: "workers_dev",
  previewUrls: "preview_urls",
  accountId: "account_id",
};
const ASSETS_NAMES = { directory: "directory", htmlHandling: "html_handling", notFoundHandling: "not_found_handling", runWorkerFirst: "run_worker_first" };

/** The settings of a cloudflare.config.ts in the words of a wrangler configuration. */
function cloudflareConfig() {
  const program = parsed();
  const define = importedAs(program, "cf/config", "defineWorker") ?? importedAs(program, "@cloudflare/config", "defineWorker");
  const calls = callsOf(program, define);
  const worker = calls.length === 1 ? bare(calls[0][0].arguments[0]) : null;
  if (worker?.type !== "ObjectExpression") throw new Problem(calls[1]?.[0] ?? calls[0]?.[0], "the Worker is not described by one defineWorker({ … }) here");
  const bindings = importedAs(program, "cf/config", "bindings") ?? importedAs(program, "@cloudflare/config", "bindings");
  const whole = bare(program.body.find((statement) => statement.type === "ExportDefaultDeclaration")?.declaration);
  const outer = whole?.type === "CallExpression" ? bare(whole.arguments[0]) : null;
  if (outer?.type !== "ObjectExpression" || outer.properties.length !== 1 || keyOf(outer.properties[0]) !== "worker") {
    throw new Problem(outer?.properties?.find((item) => keyOf(item) !== "worker") ?? whole, "only defineConfig({ worker: defineWorker({ … }) }) can be moved");
  }
  const config = {};
  const assets = {};
  for (const item of worker.properties) {
    const name = item.type === "SpreadElement" ? null : keyOf(item);
    if (name in WRANGLER_NAMES) config[WRANGLER_NAMES[name]] = literal(item.value);
    else if (name === "assets") {
      const values = bare(item.value);
      if (values.type !== "ObjectExpression") throw new Problem(item, "assets is no object written here");
      for (const one of values.properties) {
        if (!(keyOf(one) in ASSETS_NAMES)) throw new Problem(one, `assets: ${sourceOf(one)} cannot be moved`);
        assets[ASSETS_NAMES[keyOf(one)]] = literal(one.value);
      }
    } else if (name === "env") {
      const values = bare(item.value);
      if (values.type !== "ObjectExpression") throw new Problem(item, "env is no object written here");
      for (const one of values.properties) binding(one, bindings, config, assets);
    } else {
      throw new Problem(item, `${sourceOf(item)} cannot be moved`);
    }
  }
  if (Object.keys(assets).length > 0) config.assets = { directory: "dist/client", ...assets };
  return { config };
}

/** The first line of what a node was written as. */
const sourceOf = (node) => request.text.slice(node.start, node.end).split("\n", 1)[0].replace(/,$/, "");

function literal(node) {
  const value = bare(node);
  if (["StringLiteral", "BooleanLiteral", "NumericLiteral"].includes(value.type)) return value.value;
  if (value.type === "ArrayExpression") return value.elements.map(literal);
  throw new Problem(node, "the value is not written here as a text, a number, true, false or a list of them");
}

function binding(item, bindings, config, assets) {
  const name = keyOf(item);
  if (item.type === "SpreadElement") throw new Problem(item, `env: ${sourceOf(item)} cannot be moved`);
  const value = bare(item.value);
  if (value.type === "StringLiteral" || value.type === "NumericLiteral" || value.type === "BooleanLiteral") {
    config.vars = { ...config.vars, [name]: value.value };
    return;
  }
  const kind = value.type === "CallExpression" && value.callee.object?.name === bindings ? value.callee.property.name : null;
  const options = value.arguments?.length === 1 ? bare(value.arguments[0]) : null;
  const given = options?.type === "ObjectExpression" ? Object.fromEntries(options.properties.map((one) => [keyOf(one), literal(one.value)])) : {};
  const isPlain = options === null ? value.arguments?.length === 0 : Object.keys(given).length > 0;
  if (kind === "assets" && options === null) assets.binding = name;
  else if (kind === "images" && options === null) config.images = { binding: name };
  else if (kind === "kv" && isPlain && Object.keys(given).every((key) => key === "id")) {
    config.kv_namespaces = [...(config.kv_namespaces ?? []), { binding: name, ...given }];
  } else throw new Problem(item, `env: ${sourceOf(item)} cannot be moved`);
}

/** Set values in JSON, which may have comments. An edit is { path, value }; without a value it removes. */
function json() {
  // JSON with comments and trailing commas is a JavaScript expression.
  return { text: request.edits.reduce((text, { path, value }) => setJson(text, path, value), request.text) };
}

function setJson(text, path, value) {
  const edited = new Edited(text);
  let container = parseExpression(text);
  for (const [depth, key] of path.entries()) {
    const isList = container.type === "ArrayExpression";
    const items = isList ? container.elements : container.properties;
    const item = isList ? items[key] : propertyOf(container, key);
    const isLast = depth === path.length - 1;
    if (item && !isLast) {
      container = isList ? item : item.value;
      continue;
    }
    if (item && value === undefined) {
      const index = items.indexOf(item);
      const [start, end] = index + 1 < items.length ? [item.start, items[index + 1].start] : [items[index - 1]?.end ?? item.start, item.end];
      edited.replace(start, end, "");
    } else if (item) {
      const old = isList ? item : item.value;
      edited.replace(old.start, old.end, written(edited, value, old.start));
    } else if (value !== undefined) {
      const whole = path.slice(depth + 1).reduceRight((inner, name) => ({ [name]: inner }), value);
      const place = items.at(-1)?.start ?? container.start;
      addWritten(edited, container, items, isList ? null : key, whole, place);
    }
    break;
  }
  return edited.toString();
}

function addWritten(edited, container, items, key, value, place) {
  const indent = edited.indentation(place);
  const unit = /^([ \t]+)["}]/m.exec(edited.text)?.[1] ?? "  ";
  const name = key === null ? "" : `${JSON.stringify(key)}: `;
  if (items.length > 0) {
    edited.add(container, items, [name + written(edited, value, place)]);
    return;
  }
  const text = (name + written(edited, value, place)).replaceAll("\n", `\n${unit}`);
  edited.replace(container.start + 1, container.end - 1, `\n${indent}${unit}${text}\n${indent}`);
}

/** A value as JSON in the file's indentation; a list of plain values stands on one line. */
function written(edited, value, place) {
  const indent = edited.indentation(place);
  const unit = /^([ \t]+)["}]/m.exec(edited.text)?.[1] ?? "  ";
  const of = (part, depth) => {
    if (part === null || typeof part !== "object") return JSON.stringify(part);
    const rows = Array.isArray(part) ? part.map((one) => of(one, depth + 1)) : Object.entries(part).map(([name, one]) => `${JSON.stringify(name)}: ${of(one, depth + 1)}`);
    const [open, close] = Array.isArray(part) ? "[]" : "{}";
    if (rows.length === 0) return open + close;
    if (Array.isArray(part) && part.every((one) => typeof one !== "object")) return `[${rows.join(", ")}]`;
    const start = `\n${indent}${unit.repeat(depth + 1)}`;
    return `${open}${start}${rows.join(`,${start}`)}\n${indent}${unit.repeat(depth)}${close}`;
  };
  return of(value, 0);
}

const OPERATIONS = { vite, "worker-entry": workerEntry, "cloudflare-config": cloudflareConfig, json };

let answer;
try {
  answer = OPERATIONS[request.operation]();
} catch (error) {
  if (!(error instanceof Problem)) throw error;
  answer = { problems: [{ line: error.line, message: error.message }] };
}
process.stdout.write(JSON.stringify(answer));
