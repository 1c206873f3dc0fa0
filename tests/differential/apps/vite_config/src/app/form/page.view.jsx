import { renew, renewAndGo } from "./actions.js";

export default () => (
  <>
    <form action={renew}>
      <button>renew</button>
    </form>
    <form action={renewAndGo}>
      <button>go</button>
    </form>
  </>
);
