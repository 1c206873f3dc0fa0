export const revalidate = 60;

let runs = 0;

export const GET = (request: Request) => Response.json({ asked: new URL(request.url).search, runs: ++runs });
