"""Results of functions and of HTTP requests, kept as Next.js keeps those of `unstable_cache` and `fetch`."""
