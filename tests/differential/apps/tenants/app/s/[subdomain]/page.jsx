export const revalidate = 2;
export const generateStaticParams = () => [{ subdomain: "acme" }];

export default async ({ params }) => (
  <h1>
    home of {(await params).subdomain} {new Date().toISOString()}
  </h1>
);
