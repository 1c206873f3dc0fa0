import { Content } from "../../content.jsx";

export const revalidate = 86400;

// Next.js keeps pages of a route with parameters only where it has this function.
export function generateStaticParams() {
  return [];
}

// Sizes as sites have them: most pages small, few large.
const KILOBYTES = [4, 8, 8, 8, 12, 16, 16, 24, 40, 100];

export default async function Page({ params }) {
  const number = Number((await params).number);
  return <Content bytes={KILOBYTES[number % KILOBYTES.length] * 1024} seed={number} />;
}
