import { cloudflare } from "@cloudflare/vite-plugin";
import vinext from "vinext";
import { vinextWorkerCache } from "vinext-worker-adapter";

export default {
  plugins: [
    vinext({ cache: { cdn: vinextWorkerCache() }, prerender: { routes: "*" } }),
    cloudflare({ viteEnvironment: { name: "rsc", childEnvironments: ["ssr"] } }),
  ],
  resolve: { dedupe: ["vinext"] },
};
