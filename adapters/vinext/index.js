/**
 * The config-time half of the adapter, which a vinext app names in its Vite configuration.
 */
import { randomUUID } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { writeRouting } from "./routing.js";

const OPTION_NAMES = ["appPrefix", "kvBinding"];
const MARK_OF_THE_ENTRY = "X-Vinext-Revalidated-Tags";

function checkOptions(options) {
  for (const [name, value] of Object.entries(options)) {
    if (!OPTION_NAMES.includes(name)) {
      throw new TypeError(`vinextWorkerCache: unknown option ${JSON.stringify(name)}; allowed: ${OPTION_NAMES.join(", ")}.`);
    }
    if (value !== undefined && (typeof value !== "string" || value === "")) {
      throw new TypeError(`vinextWorkerCache: ${name} must be a non-empty string, got ${JSON.stringify(value)}.`);
    }
  }
}

/** Fail the build if the Worker entry is missing. Without it, invalidations would be lost silently. */
async function checkWorkerEntry({ outDir, isPrimaryServerOutput }) {
  if (!isPrimaryServerOutput) return;
  for (const file of await readdir(outDir, { recursive: true })) {
    if (file.endsWith(".js") && (await readFile(join(outDir, file), "utf8")).includes(MARK_OF_THE_ENTRY)) return;
  }
  throw new Error(
    'vinextWorkerCache: the Worker cannot say what it invalidated. Set "main" in the wrangler configuration to ' +
      '"vinext-worker-adapter/worker", or wrap the app\'s own entry in withVinextWorker from there.',
  );
}

/** @type {import("./index.d.ts").vinextWorkerCache} */
export function vinextWorkerCache(options = {}) {
  checkOptions(options);
  // vinext pre-renders in other processes, too, which get this process's environment.
  process.env.VINEXT_WORKER_PERIODS ??= join(tmpdir(), `vinext-worker-periods-${randomUUID()}`);
  let plugins;
  return {
    adapter: fileURLToPath(new URL("./runtime.js", import.meta.url)),
    options,
    capabilities: { requestRouting: "uncached-stage" },
    output: {
      type: "multi-stage",
      entry: fileURLToPath(new URL("./stages.js", import.meta.url)),
      matchesBuild: (build) => {
        // Of several calls the first is of the app's own build.
        plugins ??= build.plugins;
        return build.plugins.some(({ name }) => name?.startsWith("vite-plugin-cloudflare"));
      },
      finalizeBuildOutput: checkWorkerEntry,
      finalizePrerenderOutput: (output) => writeRouting({ ...output, plugins }),
    },
  };
}
