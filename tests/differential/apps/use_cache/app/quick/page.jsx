import { cacheLife } from "next/cache";

async function now() {
  "use cache";
  cacheLife("quick");
  return new Date().toISOString();
}

export default async () => <h1>quick {await now()}</h1>;
