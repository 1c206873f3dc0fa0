import { cloudflare } from "@cloudflare/vite-plugin";
import vinext from "vinext";

export default {
  plugins: [vinext(), cloudflare({ viteEnvironment: { name: "rsc", childEnvironments: ["ssr"] } })],
};
