export const revalidate = 600;

export const generateStaticParams = () => [{ id: "built" }];

export default async ({ params }) => (
  <h1>
    product {(await params).id} {new Date().toISOString()}
  </h1>
);
