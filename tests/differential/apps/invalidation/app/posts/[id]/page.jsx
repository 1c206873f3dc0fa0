import { notFound } from "next/navigation";
import { data } from "../../data.js";

export const revalidate = 2;
export const generateStaticParams = () => [{ id: "built" }];

export default async ({ params }) => {
  const { id } = await params;
  const value = await data(`post-${id}`);
  if (value === "gone") notFound();
  return (
    <h1>
      post {id} {value} {new Date().toISOString()}
    </h1>
  );
};
