"""Images in the size, quality and format that a page and a browser ask for."""
