/**
 * The Worker entry of a vinext app behind vinext-worker: vinext's own entry, whose responses also list the invalidated tags.
 */
import vinext from "vinext/server/fetch-handler";

import { withRevalidatedTags } from "./revalidations.js";

export * from "vinext/server/fetch-handler";
export { withRevalidatedTags };

export default withRevalidatedTags(vinext);
