// As `vinext deploy` writes it for an app with revalidated pages, less the images.
import { KVCacheHandler } from "vinext/cloudflare";
import handler from "vinext/server/app-router-entry";
import { setCacheHandler } from "vinext/shims/cache";

export default {
  fetch(request, env, context) {
    // Behind vinext-worker it and while the build renders pages, it has no store of its own.
    if (env?.VINEXT_CACHE) setCacheHandler(new KVCacheHandler(env.VINEXT_CACHE));
    return handler.fetch(request, env, context);
  },
};
