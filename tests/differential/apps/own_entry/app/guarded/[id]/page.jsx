export const revalidate = 60;
export const generateStaticParams = () => [{ id: "built" }];

export default async ({ params }) => (
  <h1>
    guarded {(await params).id} {new Date().toISOString()}
  </h1>
);
