export interface VinextWorkerCacheOptions {
  /**
   * The KV binding of the app's own Worker that holds the cache of vinext-worker. Only used for what is invalidated after
   * the response was sent. Default: `VINEXT_CACHE`, where the app has such a binding.
   */
  kvBinding?: string;
  /** The same as `VINEXT_APP_PREFIX` of vinext-worker. Default: none. */
  appPrefix?: string;
}

/** What vinext expects in `cache.cdn` of its plugin's options. */
export interface VinextWorkerCacheDescriptor {
  adapter: string;
  options: Record<string, unknown>;
  output: {
    matchesBuild(build: { plugins: readonly { name?: string }[] }): boolean;
    /** @throws Error where the Worker that was built does not name what it invalidated */
    finalizeBuildOutput(output: { root: string; outDir: string; isPrimaryServerOutput: boolean }): Promise<void>;
  };
}

/**
 * The value of `cache.cdn` in `vinext({ cache: { cdn: vinextWorkerCache() } })`.
 *
 * @throws TypeError where an option is unknown or not a non-empty string
 */
export declare function vinextWorkerCache(options?: VinextWorkerCacheOptions): VinextWorkerCacheDescriptor;
