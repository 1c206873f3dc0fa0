// Lets Node load the adapter's Worker entry: the runtime's module and the app's Worker, which a test plays, are made here.
import { registerHooks } from "node:module";

const MODULES = {
  "cloudflare:workers": `export class WorkerEntrypoint {
    constructor(ctx, env) { this.ctx = ctx; this.env = env; }
  }`,
  "vinext/server/fetch-handler": `export const app = {};
  export const respond = (...call) => app.respond(...call);
  export default { fetch: (...call) => app.fetch(...call) };`,
};

registerHooks({
  resolve: (specifier, context, next) =>
    specifier in MODULES ? { url: `played:${specifier}`, format: "module", shortCircuit: true } : next(specifier, context),
  load: (url, context, next) =>
    url.startsWith("played:")
      ? { format: "module", source: MODULES[url.slice("played:".length)], shortCircuit: true }
      : next(url, context),
});
