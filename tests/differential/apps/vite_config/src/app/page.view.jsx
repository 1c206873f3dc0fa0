import { Counter } from "./counter.jsx";

export default () => (
  <>
    <h1>home</h1>
    <Counter />
  </>
);
