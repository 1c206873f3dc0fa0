/** The blog's posts. The slugs are awkward on purpose: spaces, accents, other scripts and characters that URLs reserve. */
export interface Post {
  slug: string;
  title: string;
  summary: string;
}

export const posts: readonly Post[] = [
  { slug: "first-light", title: "First light", summary: "Why a page should be ready before anyone asks for it." },
  { slug: "stale-is-fine", title: "Stale is fine", summary: "An old page now beats a new page in a second." },
  { slug: "tags-not-timers", title: "Tags, not timers", summary: "Invalidate what changed, when it changed." },
  { slug: "one-render", title: "One render for fifty visitors", summary: "What happens when everybody comes at once." },
  { slug: "at-the-edge", title: "At the edge", summary: "Three hundred cities and one copy of the truth." },
  { slug: "héllo wörld", title: "Héllo wörld", summary: "A slug with accents and a space." },
  { slug: "日本語", title: "日本語", summary: "A slug outside Latin script." },
  { slug: "a+b & c", title: "a+b & c", summary: "A slug made of reserved characters." },
];

/** The post at `slug`. Any slug has one: those not listed are drafts, rendered when they are first asked for. */
export function findPost(slug: string): Post {
  return (
    posts.find((post) => post.slug === slug) ?? {
      slug,
      title: `Draft: ${slug}`,
      summary: "This post was not known to the build; it was rendered on its first request.",
    }
  );
}

/** The address of a post, percent-encoded. */
export function postPath(slug: string): string {
  return `/blog/${encodeURIComponent(slug)}`;
}
