export interface VinextWorkerCacheOptions {
  /**
   * The app Worker's binding of vinext-worker's KV namespace. Only used for tags that are invalidated after the response was
   * sent. Default: `VINEXT_CACHE`, if the app has such a binding.
   */
  kvBinding?: string;
  /** vinext-worker's `VINEXT_APP_PREFIX`. Default: none. */
  appPrefix?: string;
}

/** The shape of `cache.cdn` in the options of vinext's plugin. */
export interface VinextWorkerCacheDescriptor {
  adapter: string;
  options: Record<string, unknown>;
  capabilities: { requestRouting: "uncached-stage" };
  output: {
    type: "multi-stage";
    entry: string;
    matchesBuild(build: { plugins: readonly { name?: string }[] }): boolean;
    /** @throws Error if the built Worker does not list the tags that it invalidates */
    finalizeBuildOutput(output: { root: string; outDir: string; isPrimaryServerOutput: boolean }): Promise<void>;
  };
}

/**
 * Return the value of `cache.cdn`: `vinext({ cache: { cdn: vinextWorkerCache() } })`.
 *
 * @throws TypeError if an option is unknown or not a non-empty string
 */
export declare function vinextWorkerCache(options?: VinextWorkerCacheOptions): VinextWorkerCacheDescriptor;
