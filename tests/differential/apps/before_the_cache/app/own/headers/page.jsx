import { headers } from "next/headers";

const NAMES = ["authorization", "x-host", "x-original-url", "x-own"];

export default async () => {
  const given = await headers();
  return <p>{NAMES.map((name) => `${name}: ${given.get(name)}`).join(", ")}</p>;
};
