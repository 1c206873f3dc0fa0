import { Content } from "../../content.jsx";

export const revalidate = 86400;

// Next.js keeps pages of a route with parameters only where it has this function.
export function generateStaticParams() {
  return [];
}

export default async function Page({ params }) {
  return <Content bytes={(await params).bytes} />;
}
