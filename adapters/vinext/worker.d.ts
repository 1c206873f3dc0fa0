interface FetchHandler {
  fetch(request: Request, env: unknown, ctx: unknown): Response | Promise<Response>;
}

/**
 * Wrap an app's own Worker entry. Its responses then list the tags that were invalidated during the request, in the header
 * `X-Vinext-Revalidated-Tags`. If a request has `X-Vinext-Wants-Payload`, the body carries the page's RSC payload after its
 * HTML.
 */
export declare function withRevalidatedTags<Worker extends FetchHandler>(worker: Worker): Worker;

/** vinext's Worker, wrapped. */
declare const worker: FetchHandler;
export default worker;
