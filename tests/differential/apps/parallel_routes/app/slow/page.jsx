import { cookies } from "next/headers";

export default async () => {
  const user = (await cookies()).get("user")?.value ?? "nobody";
  await new Promise((resolve) => setTimeout(resolve, 800));
  return <h1>slow for {user}</h1>;
};
