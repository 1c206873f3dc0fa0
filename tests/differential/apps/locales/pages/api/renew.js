export default async (request, response) => {
  await response.revalidate(request.query.path);
  response.json({ renewed: request.query.path });
};
