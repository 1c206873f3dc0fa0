export const revalidate = 2;

export const GET = () => Response.json({ at: new Date().toISOString() });
