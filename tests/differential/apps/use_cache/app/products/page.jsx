import { cacheLife, cacheTag } from "next/cache";
import { data } from "../data.js";

export default async () => {
  "use cache";
  cacheLife("hours");
  cacheTag("products");
  return (
    <h1>
      products {await data("products")} {new Date().toISOString()}
    </h1>
  );
};
