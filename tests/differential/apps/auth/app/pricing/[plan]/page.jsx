export const revalidate = 2;
export const generateStaticParams = () => [];

export default async ({ params }) => (
  <h1>
    pricing of {(await params).plan} {new Date().toISOString()}
  </h1>
);
