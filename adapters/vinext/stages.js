/**
 * The Worker that a build contains in place of vinext's own: vinext's two stages, with vinext-worker's cache between them where
 * vinext-worker asks. Anybody else gets what the app makes, and nothing is kept of it.
 */
import { loadVinextRequestStage } from "vinext/server/request-stage";
import { loadVinextResponseStage } from "vinext/server/response-stage";

import { currentVisit, visitingInternally } from "./visit.js";

/** Call vinext's response stage. */
export async function respond(request, props, options, env, ctx) {
  const { handleResponseStage } = await loadVinextResponseStage();
  const toRequestStage = (internal) => visitingInternally(() => stages.fetch(internal, env, ctx));
  return await handleResponseStage(request, env, ctx, props, toRequestStage, options);
}

const stages = {
  async fetch(request, env, ctx) {
    const exchange = currentVisit()?.exchange;
    const { handleRequestStage } = await loadVinextRequestStage();
    const render = (stageRequest, props, options) => respond(stageRequest, props, options, env, ctx);
    const dispatch = exchange
      ? (stageRequest, props, options) => exchange.dispatch(stageRequest, props, options, render)
      : (stageRequest, props, options) => render(stageRequest, props, { ...options, cache: "bypass" });
    return await handleRequestStage(request, env, ctx, dispatch);
  },
};

export default stages;
