export const revalidate = 10;

export function GET() {
  return Response.json({ renderedAt: new Date().toISOString() });
}
