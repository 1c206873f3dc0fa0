import { cacheLife } from "next/cache";

async function now() {
  "use cache";
  cacheLife({ stale: 1, revalidate: 2, expire: 300 });
  return new Date().toISOString();
}

export default async () => <h1>quick {await now()}</h1>;
