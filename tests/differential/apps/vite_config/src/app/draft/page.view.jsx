import { draftMode } from "next/headers";

export const revalidate = 600;

export default async () => (
  <h1>
    draft {String((await draftMode()).isEnabled)} {new Date().toISOString()}
  </h1>
);
