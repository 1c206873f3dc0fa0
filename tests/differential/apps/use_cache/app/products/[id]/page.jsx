import { cacheLife, cacheTag } from "next/cache";
import { Suspense } from "react";
import { cookies } from "next/headers";
import { data } from "../../data.js";

export const generateStaticParams = () => [{ id: "one" }];

async function Product({ id }) {
  "use cache";
  cacheLife("hours");
  cacheTag(`product:${id}`);
  return (
    <p>
      {id} {await data(`product-${id}`)} {new Date().toISOString()}
    </p>
  );
}

async function Basket() {
  return <p>basket of {(await cookies()).get("user")?.value ?? "nobody"}</p>;
}

export default async ({ params }) => (
  <main>
    <Product id={(await params).id} />
    <Suspense fallback={<p>your basket</p>}>
      <Basket />
    </Suspense>
  </main>
);
