import Link from "next/link";

export default function NotFound() {
  return (
    <>
      <h1>Nothing here</h1>
      <p>
        There is no such page. <Link href="/">Back home</Link>
      </p>
    </>
  );
}
