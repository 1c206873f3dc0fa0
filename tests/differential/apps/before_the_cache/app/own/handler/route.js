const NAMES = ["authorization", "x-host", "x-original-url", "x-own"];

export const GET = (request) => Response.json(NAMES.map((name) => `${name}: ${request.headers.get(name)}`));
