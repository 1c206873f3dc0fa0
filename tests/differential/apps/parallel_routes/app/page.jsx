import Link from "next/link";

export default () => (
  <main>
    <Link href="/feed">feed</Link> <Link href="/board">board</Link> <Link href="/slow">slow</Link>
  </main>
);
