import Link from "next/link";

export default ({ children }) => (
  <html lang="en">
    <body>
      <nav>
        <Link href="/">home</Link> <Link href="/pricing/team">pricing</Link> <Link href="/dashboard">dashboard</Link>
      </nav>
      {children}
    </body>
  </html>
);
