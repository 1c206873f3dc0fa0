import { unstable_cache } from "next/cache";

export interface Catalogue {
  madeAt: string;
  products: readonly string[];
}

/** The catalogue, made once and kept until the tag `products` is invalidated. */
export const loadCatalogue: () => Promise<Catalogue> = unstable_cache(
  async () => ({
    madeAt: new Date().toISOString(),
    products: ["Barometer", "Sextant", "Tide table", "Storm glass"],
  }),
  ["catalogue"],
  { tags: ["products", "catalogue"], revalidate: 3600 },
);
