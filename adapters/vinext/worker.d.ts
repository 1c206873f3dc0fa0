interface FetchHandler {
  fetch(request: Request, env: unknown, ctx: unknown): Response | Promise<Response>;
}

/**
 * The same Worker, whose responses also name the tags that were invalidated while they were made, in the header
 * `X-Vinext-Revalidated-Tags`, and where a request asks by `X-Vinext-Wants-Payload` bring a page's RSC payload behind its
 * HTML. For an app with a Worker entry of its own.
 */
export declare function withRevalidatedTags<Worker extends FetchHandler>(worker: Worker): Worker;

/** vinext's Worker, wrapped. */
declare const worker: FetchHandler;
export default worker;
