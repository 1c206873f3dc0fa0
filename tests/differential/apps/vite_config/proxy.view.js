/** vinext leaves this file alone, because the app is in `src/`. */
export const config = { matcher: "/nothing" };
export const proxy = () => new Response("wrong", { status: 500 });
