import type { Metadata } from "next";
import Link from "next/link";

import { findPost, posts } from "../../../content/posts";
import { RenderedAt } from "../../../content/rendered-at";

export const revalidate = 3600;

interface Props {
  params: Promise<{ slug: string }>;
}

export function generateStaticParams() {
  return posts.map(({ slug }) => ({ slug }));
}

async function post({ params }: Props) {
  const { slug } = await params;
  return findPost(decodeURIComponent(slug));
}

export async function generateMetadata(props: Props): Promise<Metadata> {
  return { title: (await post(props)).title };
}

export default async function BlogPost(props: Props) {
  const { title, summary } = await post(props);
  return (
    <article>
      <h1>{title}</h1>
      <p>{summary}</p>
      <RenderedAt />
      <Link href="/blog">All posts</Link>
    </article>
  );
}
