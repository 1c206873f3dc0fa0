"""What is kept between requests: entries, their keys and tags, and the handlers that store them."""
