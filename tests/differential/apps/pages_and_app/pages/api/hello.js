export default (request, response) => {
  response.setHeader("Set-Cookie", "seen=1; Path=/");
  response.status(200).json({ method: request.method, query: request.query, user: request.cookies.user ?? null });
};
