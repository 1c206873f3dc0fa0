import Link from "next/link";

export const revalidate = 60;

export default () => (
  <main>
    feed {new Date().toISOString()} <Link href="/photo/1">photo</Link>
  </main>
);
