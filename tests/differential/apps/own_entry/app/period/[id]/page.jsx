export const revalidate = 2;
export const generateStaticParams = () => [];

export default async ({ params }) => (
  <h1>
    period {(await params).id} {new Date().toISOString()}
  </h1>
);
