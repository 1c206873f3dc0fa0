import { cacheLife } from "next/cache";
import { draftMode } from "next/headers";

export const generateStaticParams = async () => [{ slug: "one" }];

export default async function Page({ params }: { params: Promise<{ slug: string }> }) {
  "use cache";
  cacheLife("days");
  const { slug } = await params;
  const { isEnabled } = await draftMode();
  return (
    <h1>
      {slug} {isEnabled ? "draft" : "published"} {new Date().toISOString()}
    </h1>
  );
}
