export default {
  cacheComponents: true,
  cacheLife: { quick: { stale: 1, revalidate: 2, expire: 300 } },
};
