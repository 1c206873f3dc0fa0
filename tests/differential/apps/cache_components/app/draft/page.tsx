import { cacheLife, cacheTag } from "next/cache";
import { draftMode } from "next/headers";

async function Content({ isDraft }: { isDraft: boolean }) {
  "use cache";
  cacheLife("days");
  cacheTag("draft");
  return (
    <p>
      {isDraft ? "draft" : "published"} {new Date().toISOString()}
    </p>
  );
}

export default async function Page() {
  const { isEnabled } = await draftMode();
  return (
    <main>
      <h1>Draft {String(isEnabled)}</h1>
      <Content isDraft={isEnabled} />
    </main>
  );
}
