import { draftMode } from "next/headers";

export async function GET(request) {
  const mode = await draftMode();
  if (new URL(request.url).searchParams.has("off")) mode.disable();
  else mode.enable();
  return new Response("ok");
}
