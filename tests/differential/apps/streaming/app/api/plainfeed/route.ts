export const revalidate = 60;

export const GET = () => Response.json({ feed: "plain" });
