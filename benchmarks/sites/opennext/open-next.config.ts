import { defineCloudflareConfig } from "@opennextjs/cloudflare";
import kvIncrementalCache from "@opennextjs/cloudflare/overrides/incremental-cache/kv-incremental-cache";
import { withRegionalCache } from "@opennextjs/cloudflare/overrides/incremental-cache/regional-cache";
import memoryQueue from "@opennextjs/cloudflare/overrides/queue/memory-queue";

export default defineCloudflareConfig({
  // One build serves both contenders. A variable of the Worker tells which of them it is.
  incrementalCache: async () =>
    process.env.REGIONAL_CACHE === "on" ? withRegionalCache(kvIncrementalCache, { mode: "long-lived" }) : kvIncrementalCache,
  queue: memoryQueue,
  enableCacheInterception: true,
});
