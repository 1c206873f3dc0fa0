export const revalidate = 60;

export async function GET() {
  await new Promise((resolve) => setTimeout(resolve, 300));
  return Response.json({ at: new Date().toISOString() });
}
