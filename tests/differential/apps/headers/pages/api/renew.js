export default async (req, res) => {
  await res.revalidate(req.query.path);
  res.json({ done: true });
};
