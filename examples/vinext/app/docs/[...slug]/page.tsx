import Link from "next/link";
import { notFound } from "next/navigation";

import { docs, docsPath } from "../../../content/docs";
import { RenderedAt } from "../../../content/rendered-at";

export const revalidate = 86400;

interface Props {
  params: Promise<{ slug: string[] }>;
}

export function generateStaticParams() {
  return docs.map((slug) => ({ slug: [...slug] }));
}

export default async function Docs({ params }: Props) {
  const path = docsPath((await params).slug);
  if (!docs.some((slug) => docsPath(slug) === path)) notFound();
  return (
    <>
      <h1>Documentation</h1>
      <p>
        <code>{path.slice("/docs/".length).replaceAll("/", " / ")}</code>
      </p>
      <RenderedAt />
      <ul className="cards">
        {docs.map((slug) => (
          <li key={docsPath(slug)}>
            <Link href={docsPath(slug)}>{slug.at(-1)}</Link>
          </li>
        ))}
      </ul>
    </>
  );
}
