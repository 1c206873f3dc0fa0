import Link from "next/link";

import { RenderedAt } from "../content/rendered-at";

const pages = [
  { href: "/about", what: "Static: made by the build, never stale." },
  { href: "/big", what: "Static, and more than 300 KB of HTML." },
  { href: "/blog", what: "Made again at most every ten minutes." },
  { href: "/blog/first-light", what: "One of eight posts known to the build; others are made on demand." },
  { href: "/docs/caching/tags", what: "A catch-all route." },
  { href: "/tick", what: "Made again every two seconds." },
  { href: "/tagged", what: "Shows data that is kept until its tag is invalidated." },
  { href: "/actions", what: "Invalidates tags and paths from a Server Action." },
  { href: "/dash", what: "Dynamic: reads headers and cookies, is never kept." },
  { href: "/search?q=cache", what: "Dynamic: reads the query." },
];

export default function Home() {
  return (
    <>
      <h1>One page for each way to cache</h1>
      <p>
        Every page says when it was rendered. Reload it, wait, invalidate it, and watch the response header{" "}
        <code>X-Vinext-Cache</code>.
      </p>
      <RenderedAt />
      <ul className="cards">
        {pages.map(({ href, what }) => (
          <li key={href}>
            <Link href={href}>{href}</Link>
            <p>{what}</p>
          </li>
        ))}
      </ul>
    </>
  );
}
