import type { Metadata } from "next";

import { loadCatalogue } from "../../content/products";
import { RenderedAt } from "../../content/rendered-at";

export const metadata: Metadata = { title: "Tagged" };

export default async function Tagged() {
  const { madeAt, products } = await loadCatalogue();
  return (
    <>
      <h1>Tagged</h1>
      <p>
        The list below is kept under the tag <code>products</code>, and so is this page. Opening{" "}
        <a href="/api/revalidate?tag=products">/api/revalidate?tag=products</a> drops both.
      </p>
      <ul>
        {products.map((product) => (
          <li key={product}>{product}</li>
        ))}
      </ul>
      <p className="stamp">
        Data made{" "}
        <time data-made-at={madeAt} dateTime={madeAt}>
          {madeAt}
        </time>
      </p>
      <RenderedAt />
    </>
  );
}
