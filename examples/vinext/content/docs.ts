/** The documentation's paths, one of them longer than the 200 characters that a cache key keeps in clear text. */
export const docs: readonly (readonly string[])[] = [
  ["intro"],
  ["caching", "tags"],
  ["caching", "tags", "revalidate-a-path"],
  ["reference", "a-path-that-is-rather-long", ...Array.from({ length: 9 }, (_, index) => `and-goes-on-for-part-${index + 1}`)],
];

export function docsPath(slug: readonly string[]): string {
  return `/docs/${slug.join("/")}`;
}
