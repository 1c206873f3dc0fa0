import { notFound } from "next/navigation";

export const generateStaticParams = () => [{ id: "built" }];

async function isThere(id) {
  "use cache";
  return id === "built";
}

export default async ({ params }) => {
  const { id } = await params;
  if (!(await isThere(id))) notFound();
  return <h1>there</h1>;
};
