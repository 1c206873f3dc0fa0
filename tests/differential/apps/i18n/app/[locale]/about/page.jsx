export async function generateMetadata({ params }) {
  return { title: `about in ${(await params).locale}`, alternates: { canonical: "https://example.com/about" } };
}

export default async ({ params }) => <h1>about in {(await params).locale}</h1>;
