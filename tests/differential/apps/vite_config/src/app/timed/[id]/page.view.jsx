export const revalidate = 2;

export const generateStaticParams = () => [{ id: "built" }];

export default async ({ params }) => (
  <h1>
    timed {(await params).id} {new Date().toISOString()}
  </h1>
);
