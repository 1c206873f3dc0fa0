/**
 * Writes down, when a build is finished, which paths a rule of the app may touch before its page cache, and which headers
 * next.config puts on each pre-rendered page. vinext-worker reads it: it serves no page that a rule may touch without the app.
 *
 * A rule that cannot be read counts as one that may touch every path.
 */
import { existsSync, realpathSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";

import { touchingEntry } from "./entry.js";
import { STAGES } from "./exchange.js";
import { fromApp, parsedSource } from "./source.js";

/** The file, beside the build's manifest. */
export const ROUTING_FILE = "vinext-worker-routing.json";
const MANIFEST = "vinext-prerender.json";
const PAGES_FOLDER = "prerendered-routes";
/** What vinext writes for its client into the HTML of a page that has read its request. */
const DYNAMIC_MARK = '{"initialCacheKind":"dynamic"}';
/** What vinext writes for its client into the HTML of a page of the Pages Router. */
const NEXT_DATA = /<script id="__NEXT_DATA__"[^>]*>(.*?)<\/script>/s;
const VERSION = 1;
const ROUTERS = ["app", "pages"];
const MIDDLEWARE_NAMES = ["proxy", "middleware"];
const EVERYTHING = { path: "/", prefix: true };

/**
 * The literal beginning of a pattern in path-to-regexp's syntax: every path that the pattern matches begins with it.
 *
 * @param {string} source such as `/blog/:slug`
 * @returns {{path: string, prefix: boolean}} `prefix` false: the pattern matches this path alone
 */
export function touchedBy(source) {
  if (typeof source !== "string" || !source.startsWith("/")) return EVERYTHING;
  const special = source.search(/[:(){}*+?\\]/);
  if (special === -1) return { path: source, prefix: false };
  // A modifier makes the character before it optional, or repeats it.
  const end = /[*+?]/.test(source[special]) ? special - 1 : special;
  // A slash or a dot before a parameter is a part of it, and may be missing with it.
  return { path: source.slice(0, end).replace(/[./]+$/, "") || "/", prefix: true };
}

/** Return which of the app's paths a rule touches whose own path is not below basePath but beside it; null for none. */
function belowBase({ path, prefix }, basePath) {
  if (prefix && basePath.toLowerCase().startsWith(path.toLowerCase())) return EVERYTHING;
  const rest = path.slice(basePath.length);
  const isBelow = path.toLowerCase().startsWith(basePath.toLowerCase()) && (rest === "" || rest.startsWith("/"));
  return isBelow ? { path: rest || "/", prefix } : null;
}

/** Return the value of a literal expression of an ESTree; throws for anything else. */
function literal(node) {
  if (node?.type === "TSAsExpression" || node?.type === "TSSatisfiesExpression") return literal(node.expression);
  if (node?.type === "Literal") return node.value;
  if (node?.type === "TemplateLiteral" && node.expressions.length === 0) return node.quasis[0].value.cooked;
  if (node?.type === "ArrayExpression") return node.elements.map(literal);
  if (node?.type === "ObjectExpression") {
    return Object.fromEntries(node.properties.map(({ key, value }) => [key.name ?? key.value, literal(value)]));
  }
  throw new TypeError("not a literal");
}

/** Return the sources of `export const config = { matcher }`; null without a matcher, which means every path. */
export function matcherSources(program) {
  for (const statement of program.body) {
    const declared = statement.type === "ExportNamedDeclaration" ? (statement.declaration?.declarations ?? []) : [];
    const config = declared.find(({ id }) => id.name === "config")?.init;
    if (!config) continue;
    const { matcher } = literal(config);
    if (matcher === undefined) return null;
    return [matcher].flat().map((entry) => (typeof entry === "string" ? entry : entry.source));
  }
  return null;
}

/** Return next.config as vinext reads it for a build: what `vinext({ nextConfig })` gives takes the place of the file. */
async function nextConfigOf(root, plugins) {
  const vinext = await fromApp(root, "vinext", "./internal/config/next-config");
  const inline = await vinext.findVinextNextConfigInPlugins(plugins);
  const phase = vinext.PHASE_PRODUCTION_BUILD;
  const config = inline ? await vinext.resolveNextConfigInput(inline, phase) : await vinext.loadNextConfig(root, phase);
  return await vinext.resolveNextConfig(config, root);
}

/** Return where vinext looks for the app's routers and its middleware, and which routers there are. */
async function foldersOf(root, plugins) {
  const { findVinextRouteRootConfigInPlugins } = await fromApp(root, "vinext", "./internal/config/prerender");
  const { appDir, disableAppRouter } = (await findVinextRouteRootConfigInPlugins(plugins)) ?? {};
  const source = join(root, "src");
  const routersIn = (folder) => ROUTERS.filter((name) => existsSync(join(folder, name)));
  const isInSource = routersIn(root).length === 0 && routersIn(source).length > 0;
  const folder = appDir ? resolve(root, appDir) : isInSource ? source : root;
  const hasSource = existsSync(folder) && existsSync(source) && realpathSync(folder) === realpathSync(source);
  const routers = routersIn(folder).filter((name) => name !== "app" || !disableAppRouter);
  return { routers, middleware: hasSource ? source : root };
}

/** `pageExtensions` are those of next.config, as `tsx` or `page.tsx`, which the name of the file ends in too. */
async function middlewareRules(root, folder, pageExtensions) {
  const names = MIDDLEWARE_NAMES.flatMap((name) => pageExtensions.map((extension) => `${name}.${extension}`));
  const file = names.map((name) => join(folder, name)).find((name) => existsSync(name));
  if (!file) return [];
  const name = relative(root, file);
  try {
    const sources = matcherSources(await parsedSource(root, file));
    if (sources === null) return [{ ...EVERYTHING, name: `${name}, which has no matcher` }];
    return sources.map((source) => ({ ...touchedBy(source), name: `${name}: ${source}` }));
  } catch (error) {
    return [{ ...EVERYTHING, name: `${name}, whose matcher cannot be read (${error.message})` }];
  }
}

/** The app's own Worker entry is in front of everything: it may answer any request, and change any response. */
async function entryRules(build) {
  const name = await touchingEntry(build);
  return name === null ? [] : [{ ...EVERYTHING, name: `the app's own Worker entry, ${name}` }];
}

function configRules(config) {
  const rules = [];
  const add = (kind, entries, isTouching) => {
    for (const entry of (entries ?? []).filter(isTouching)) {
      const touched = touchedBy(entry.source);
      const below = entry.basePath === false ? belowBase(touched, config.basePath ?? "") : touched;
      if (below) rules.push({ ...below, name: `${kind} of next.config: ${entry.source}` });
    }
  };
  const isConditional = ({ has, missing }) => Boolean(has?.length || missing?.length);
  // The redirects that vinext itself adds for trailing slashes are no rules of the app.
  add("redirects", config.redirects, ({ internal }) => !internal);
  add("rewrites", config.rewrites?.beforeFiles, () => true);
  add("rewrites", config.rewrites?.afterFiles, () => true);
  // A fallback is for paths without a page, and the same for everybody unless it has conditions.
  add("rewrites", config.rewrites?.fallback, isConditional);
  // Under a Cache-Control of next.config vinext keeps a page for each query, which keys do not say; the request stage tells. A
  // cookie or a Vary of next.config is in no entry, and would keep the page out of the cache.
  const isForStages = ({ headers }) => Boolean(headers?.some(({ key }) => /cache-control$|^(?:set-cookie|vary)$/i.test(key)));
  add("headers", config.headers, (entry) => isConditional(entry) || isForStages(entry));
  if (config.i18n) rules.push({ ...EVERYTHING, name: "i18n of next.config" });
  return rules;
}

/** Return the periods of the pre-rendered pages of the Pages Router, by vinext's keys; those of the last render win. */
async function periodsOf(file) {
  if (!file || !existsSync(file)) return {};
  const lines = (await readFile(file, "utf8")).split("\n").filter(Boolean);
  await rm(file);
  return Object.fromEntries(lines.map((line) => JSON.parse(line)));
}

/** Return the locales of the Pages Router, null without. */
function localesOf({ i18n }) {
  if (!i18n) return null;
  const domains = (i18n.domains ?? []).map(({ domain, defaultLocale }) => ({ domain, defaultLocale }));
  const { locales, defaultLocale, localeDetection = true } = i18n;
  return { locales, defaultLocale, domains, localeDetection };
}

/** Return the URL path of a page of the manifest as visitors ask for it: with `trailingSlash`, unless its name has a dot. */
function askedPath(path, { trailingSlash }) {
  return trailingSlash && path !== "/" && !/\.[^/]+$/.test(path) ? `${path}/` : path;
}

/** Return `{sets, paths}`: the headers of each pre-rendered page, equal ones once. */
async function pageHeaders(root, config, manifest) {
  const rules = (config.headers ?? []).filter(({ has, missing }) => !has?.length && !missing?.length);
  const sets = [];
  const paths = {};
  if (rules.length === 0) return { sets, paths };
  const { matchHeaders } = await fromApp(root, "vinext", "./config/config-matchers");
  const context = { headers: new Headers(), cookies: {}, query: new URLSearchParams(), host: "" };
  const numbers = new Map();
  for (const { route, path = route } of manifest.routes) {
    const headers = matchHeaders(askedPath(path, config), rules, context, { basePath: config.basePath ?? "", hadBasePath: true });
    if (headers.length === 0) continue;
    const set = Object.fromEntries(headers.map(({ key, value }) => [key.toLowerCase(), value]));
    const text = JSON.stringify(set);
    if (!numbers.has(text)) numbers.set(text, sets.push(set) - 1);
    paths[path] = numbers.get(text);
  }
  return { sets, paths };
}

/** Return the HTML of a pre-rendered page, "" without. */
async function documentOf(server, { route, path = route }) {
  const name = path.replace(/^\/+|\/+$/g, "");
  for (const file of name === "" ? ["index.html"] : [`${name}.html`, `${name}/index.html`]) {
    const document = join(server, PAGES_FOLDER, file);
    if (existsSync(document)) return await readFile(document, "utf8");
  }
  return "";
}

/** Whether a page of the Pages Router has `getInitialProps`, or the whole app, which vinext calls for each request. */
function isForEachVisitor(html) {
  const { gip, appGip, gsp } = JSON.parse(NEXT_DATA.exec(html)?.[1] ?? "{}");
  return gip === true || (appGip === true && gsp !== true);
}

/**
 * Take out of the manifest the pages that read their request. vinext tells those of the App Router from static ones by
 * `Cache-Control` alone, and that of next.config or middleware replaces the page's own; of the others it tells none. What was made
 * without cookies would then be everybody's.
 */
async function skipDynamicPages(server, manifest, hasRules) {
  let isChanged = false;
  for (const page of manifest.routes) {
    if (page.status !== "rendered" || !ROUTERS.includes(page.router)) continue;
    if (page.router === "app" && !hasRules) continue;
    const document = await documentOf(server, page);
    if (page.router === "app" ? !document.includes(DYNAMIC_MARK) : !isForEachVisitor(document)) continue;
    Object.assign(page, { status: "skipped", reason: "dynamic" });
    isChanged = true;
  }
  if (isChanged) await writeFile(join(server, MANIFEST), JSON.stringify(manifest, null, 2));
}

/**
 * Write the file for the build in `clientOutDir`'s sibling `server`; does nothing if the build has no pre-rendered pages.
 *
 * @param {{root: string, clientOutDir: string, plugins: readonly unknown[]}} build `plugins` are those of the Vite configuration
 */
export async function writeRouting({ root, clientOutDir, plugins }) {
  const server = join(dirname(clientOutDir), "server");
  if (!existsSync(join(server, MANIFEST))) return;
  const manifest = JSON.parse(await readFile(join(server, MANIFEST), "utf8"));
  const app = await describedApp({ root, server, plugins }, manifest);
  await skipDynamicPages(server, manifest, app.rules.length > 0);
  const periods = await periodsOf(process.env.VINEXT_WORKER_PERIODS);
  const { version: adapter } = JSON.parse(await readFile(new URL("./package.json", import.meta.url), "utf8"));
  const build = { version: VERSION, buildId: manifest.buildId, stages: STAGES, adapter };
  await writeFile(join(server, ROUTING_FILE), `${JSON.stringify({ ...build, ...app, periods }, null, 1)}\n`);
}

async function describedApp(build, manifest) {
  const { root, plugins } = build;
  try {
    const config = await nextConfigOf(root, plugins);
    const { routers, middleware } = await foldersOf(root, plugins);
    const before = [...(await entryRules(build)), ...(await middlewareRules(root, middleware, config.pageExtensions))];
    return {
      basePath: config.basePath ?? "",
      routers,
      i18n: localesOf(config),
      images: config.images ?? null,
      rules: [...before, ...configRules(config)],
      headers: await pageHeaders(root, config, manifest),
    };
  } catch (error) {
    const rules = [{ ...EVERYTHING, name: `the app's configuration, which cannot be read (${error.message})` }];
    return { basePath: null, routers: [], i18n: null, images: null, rules, headers: { sets: [], paths: {} } };
  }
}
