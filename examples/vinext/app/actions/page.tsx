import type { Metadata } from "next";

import { loadCatalogue } from "../../content/products";
import { RenderedAt } from "../../content/rendered-at";
import { refreshBlog, refreshProducts, refreshProductsAndShow } from "./actions";

export const metadata: Metadata = { title: "Actions" };

export default async function Actions() {
  const { madeAt } = await loadCatalogue();
  return (
    <>
      <h1>Server Actions</h1>
      <p>Each button invalidates on the server. They work without JavaScript, too.</p>
      <form action={refreshProducts}>
        <button type="submit">Invalidate the tag “products”</button>
      </form>
      <form action={refreshProductsAndShow}>
        <button type="submit">… and go to the products</button>
      </form>
      <form action={refreshBlog}>
        <button type="submit">Invalidate the blog and its posts</button>
      </form>
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
