import type { Metadata } from "next";
import Link from "next/link";

import { postPath, posts } from "../../content/posts";
import { RenderedAt } from "../../content/rendered-at";

export const revalidate = 600;
export const metadata: Metadata = { title: "Blog" };

export default function Blog() {
  return (
    <>
      <h1>Blog</h1>
      <RenderedAt />
      <ul className="cards">
        {posts.map(({ slug, title, summary }) => (
          <li key={slug}>
            <Link href={postPath(slug)}>{title}</Link>
            <p>{summary}</p>
          </li>
        ))}
        <li>
          <Link href={postPath("not-written-yet")}>Not written yet</Link>
          <p>A post that the build did not know.</p>
        </li>
      </ul>
    </>
  );
}
