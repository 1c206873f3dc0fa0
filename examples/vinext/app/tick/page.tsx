import type { Metadata } from "next";

import { RenderedAt } from "../../content/rendered-at";

export const revalidate = 2;
export const metadata: Metadata = { title: "Tick" };

export default function Tick() {
  return (
    <>
      <h1>Tick</h1>
      <p>
        Fresh for two seconds. After that the next visitor still gets this copy at once, and the one after them the new
        one.
      </p>
      <RenderedAt />
    </>
  );
}
