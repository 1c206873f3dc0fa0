"""The posts. Reading them takes a while, as a database does, so what was read is kept."""

import asyncio

from vinext import cached

_POSTS = {
    "first-post": {"title": "The first post", "text": "A page that is made once an hour."},
    "grüße": {"title": "Grüße", "text": "A path that is not ASCII."},
    "a b": {"title": "A space", "text": "A path with a space in it."},
}


@cached(["posts"], tags=["posts"], revalidate=300)
async def all_posts():
    """Pages that use it carry its tag, and live no longer than it does."""
    await asyncio.sleep(0.3)
    return _POSTS
