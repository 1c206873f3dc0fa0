import type { Metadata } from "next";
import Link from "next/link";

import { RenderedAt } from "../../content/rendered-at";

export const metadata: Metadata = { title: "About" };

export default function About() {
  return (
    <>
      <h1>About</h1>
      <p>
        This page never changes, so the build rendered it once. It is served from cache from the first request on, and
        vinext is not asked. See <Link href="/blog">the blog</Link> for pages that do change.
      </p>
      <RenderedAt />
    </>
  );
}
