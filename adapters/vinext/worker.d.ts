import type { WorkerEntrypoint } from "cloudflare:workers";

import type { Answer, Kept } from "./exchange.js";

interface FetchHandler {
  fetch(request: Request, env: unknown, ctx: unknown): Response | Promise<Response>;
}

interface VinextWorkerConstructor {
  new (ctx: ExecutionContext, env: unknown): WorkerEntrypoint & {
    fetch(request: Request): Promise<Response>;
    serve(request: Request, offer: string, stages?: number): Promise<Answer>;
    render(request: Request, isStored?: boolean, idleMs?: number): Promise<Kept>;
    replay(replay: string, idleMs?: number): Promise<Kept>;
  };
}

/**
 * Return the entrypoint for a Worker that answers by vinext's `fetch`: vinext-worker calls its methods `serve`, `render` and
 * `replay`, which only service bindings reach. Other handlers of the Worker (`queue`, `scheduled`, …) stay.
 */
export declare function withVinextWorker(worker: FetchHandler): VinextWorkerConstructor;

/** The entrypoint for vinext's own Worker. */
declare const worker: VinextWorkerConstructor;
export default worker;
