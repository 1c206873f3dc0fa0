import { notFound } from "next/navigation";

export const revalidate = 2;
export const generateStaticParams = () => [{ slug: "built" }];

export default async ({ params }) => {
  const { locale, slug } = await params;
  if (slug === "missing") notFound();
  return (
    <h1>
      {slug} in {locale} {new Date().toISOString()}
    </h1>
  );
};
