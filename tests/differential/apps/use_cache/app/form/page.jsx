import { cacheLife, cacheTag } from "next/cache";
import { later, update, updateAndGo } from "./actions.js";
import { data } from "../data.js";

async function Value() {
  "use cache";
  cacheLife("days");
  cacheTag("form");
  return (
    <p>
      {await data("form")} {new Date().toISOString()}
    </p>
  );
}

export default () => (
  <main>
    <Value />
    <form action={update}>
      <button>update</button>
    </form>
    <form action={later}>
      <button>later</button>
    </form>
    <form action={updateAndGo}>
      <button>go</button>
    </form>
  </main>
);
