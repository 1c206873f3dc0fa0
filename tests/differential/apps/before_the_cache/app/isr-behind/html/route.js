export const revalidate = 60;
export const GET = () => new Response(`<h1>${new Date().toISOString()}</h1>`, { headers: { "Content-Type": "text/html" } });
