import type { CdnCacheableHeaderInput, CdnCacheAdapter, CdnResponseHeaders } from "vinext/shims/cdn-cache";

import type { VinextWorkerCacheOptions } from "./index.d.ts";

export interface VinextWorkerCacheAdapterInput {
  env?: Record<string, unknown>;
  options?: VinextWorkerCacheOptions;
}

/** vinext's cache adapter for an app whose pages vinext-worker stores. */
export default class VinextWorkerCacheAdapter implements CdnCacheAdapter {
  constructor(input?: VinextWorkerCacheAdapterInput);
  readonly ownsBackgroundRevalidation: false;
  readonly responseStageCacheIdentity: "query-free";
  get requiresCompletedResponseAdmission(): boolean;
  get(): Promise<null>;
  set(): Promise<void>;
  buildResponseHeaders(input: CdnCacheableHeaderInput): CdnResponseHeaders;
  captureAppPageRscData(rscData: Promise<ArrayBuffer>): void;
  captureAppPageDocument(): ReturnType<NonNullable<CdnCacheAdapter["captureAppPageDocument"]>>;
  deferCompletedPageResponseAdmission(response: Response, complete: (response: Response) => Promise<Response>): Response | null;
  revalidateTag(tags: string | string[], durations?: { expire?: number }): Promise<void>;
}
