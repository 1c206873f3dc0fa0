/**
 * The Worker that a build contains in place of vinext's own: vinext's two stages, with vinext-worker's cache between them where
 * vinext-worker asks. Anybody else gets what the app makes, and nothing is kept of it.
 */
import { loadVinextRequestStage } from "vinext/server/request-stage";
import { loadVinextResponseStage } from "vinext/server/response-stage";

import { discard, withConfigPolicy } from "./exchange.js";
import { hideMetadataPeriod } from "./policy.js";
import { isOnDemand, replayOf, resourceOfPage } from "./resources.js";
import { addPage, currentVisit, visitingInternally } from "./visit.js";

/** Call vinext's response stage. */
export async function respond(request, props, options, env, ctx) {
  const { handleResponseStage } = await loadVinextResponseStage();
  const toRequestStage = (internal) => visitingInternally(() => stages.fetch(internal, env, ctx));
  const response = await handleResponseStage(request, env, ctx, props, toRequestStage, options);
  if (props.kind === "app-metadata") hideMetadataPeriod(response.headers);
  return response;
}

/**
 * Render a page for `res.revalidate`. vinext-worker has the pages that were made before, so that only the answer shows that vinext
 * took the page for one that was never made, and rendered what such a page shows before its data is there.
 */
async function renderOnDemand(request, props, options, render) {
  let response = await render(request, props, options);
  if (response.status === 200 && response.headers.get("x-nextjs-cache") !== "REVALIDATED") {
    discard(response);
    response = await render(request, props, { ...options, regeneratesStoredEntry: true });
  }
  if (response.headers.get("x-nextjs-cache") === "REVALIDATED") {
    addPage({ ...resourceOfPage(props, options), replay: replayOf(request, props, options) });
  }
  return response;
}

const stages = {
  async fetch(request, env, ctx) {
    const { exchange, isInternal } = currentVisit() ?? {};
    const { handleRequestStage } = await loadVinextRequestStage();
    const render = (stageRequest, props, options) => respond(stageRequest, props, options, env, ctx);
    const bypass = async (stageRequest, props, options) => {
      const bypassing = { ...options, cache: "bypass" };
      if (isInternal && isOnDemand(stageRequest, props)) return await renderOnDemand(stageRequest, props, bypassing, render);
      const response = await render(stageRequest, props, bypassing);
      return options.cache === "shared" ? withConfigPolicy(response, props) : response;
    };
    const dispatch = exchange
      ? (stageRequest, props, options) => exchange.dispatch(stageRequest, props, options, render)
      : bypass;
    return await handleRequestStage(request, env, ctx, dispatch);
  },
};

export default stages;
