import type { Metadata } from "next";
import Form from "next/form";
import Link from "next/link";

import { postPath, posts } from "../../content/posts";
import { RenderedAt } from "../../content/rendered-at";

export const metadata: Metadata = { title: "Search" };

interface Props {
  searchParams: Promise<{ q?: string | string[] }>;
}

export default async function Search({ searchParams }: Props) {
  const query = [(await searchParams).q].flat()[0] ?? "";
  const found = posts.filter(({ title, summary }) => `${title} ${summary}`.toLowerCase().includes(query.toLowerCase()));
  return (
    <>
      <h1>Search</h1>
      <Form action="/search">
        <input aria-label="Search for" defaultValue={query} name="q" />
        <button type="submit">Search</button>
      </Form>
      <p data-query={query}>
        {found.length} {found.length === 1 ? "post" : "posts"} for “{query}”
      </p>
      <ul className="cards">
        {found.map(({ slug, title, summary }) => (
          <li key={slug}>
            <Link href={postPath(slug)}>{title}</Link>
            <p>{summary}</p>
          </li>
        ))}
      </ul>
      <RenderedAt />
    </>
  );
}
