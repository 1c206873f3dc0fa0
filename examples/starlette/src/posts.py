"""What would be a database elsewhere."""

POSTS = {
    "first-post": {"title": "The first post", "text": "A page that is made once an hour."},
    "grüße": {"title": "Grüße", "text": "A path that is not ASCII."},
    "a b": {"title": "A space", "text": "A path with a space in it."},
}
