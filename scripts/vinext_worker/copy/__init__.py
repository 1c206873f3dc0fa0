"""Copying a build's pages and static files to the folder that is deployed as assets."""
