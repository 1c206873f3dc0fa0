import { notFound } from "next/navigation";

export const revalidate = 60;
export const generateStaticParams = () => [];

export default async ({ params }) => {
  const { subdomain, slug } = await params;
  if (slug === "missing") notFound();
  return (
    <h1>
      {slug} of {subdomain} {new Date().toISOString()}
    </h1>
  );
};
