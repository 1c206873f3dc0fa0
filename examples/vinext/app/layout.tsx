import type { Metadata } from "next";
import Link from "next/link";
import type { ReactNode } from "react";

import "./globals.css";

export const metadata: Metadata = {
  title: { default: "Almanac", template: "%s · Almanac" },
  description: "A small site with one page for each way a page can be cached.",
};

const sections = [
  { href: "/", label: "Home" },
  { href: "/about", label: "About" },
  { href: "/blog", label: "Blog" },
  { href: "/docs/intro", label: "Docs" },
  { href: "/tick", label: "Tick" },
  { href: "/tagged", label: "Tagged" },
  { href: "/actions", label: "Actions" },
  { href: "/big", label: "Big" },
  { href: "/dash", label: "Dashboard" },
  { href: "/search", label: "Search" },
] as const;

export default function RootLayout({ children }: { children: ReactNode }) {
  return (
    <html lang="en">
      <body>
        <header>
          <Link className="brand" href="/">
            Almanac
          </Link>
          <nav aria-label="Main">
            {sections.map(({ href, label }) => (
              <Link key={href} href={href}>
                {label}
              </Link>
            ))}
          </nav>
        </header>
        <main>{children}</main>
        <footer>
          Rendered by vinext, served from cache by a Python Worker. Elsewhere: <a href="/moved">a redirect</a>,{" "}
          <a href="/api/time">a JSON route</a>, <a href="/missing">a missing page</a>.
        </footer>
      </body>
    </html>
  );
}
