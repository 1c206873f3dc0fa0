"""An app below a basePath: its pages, its redirect from outside, and every file that its pages name."""

from tests.differential.client import payload
from tests.differential.script import Ask, Files, Script, visit

SCRIPT = Script(
    visits=[
        visit(
            "pages", Ask("/shop"), Ask("/shop").settled(), Ask("/shop").again(), Ask("/shop", "HEAD"), payload("/shop").settled()
        ),
        visit("outside", Ask("/"), Ask("/about"), Ask("/shop/"), Ask("/shop/missing"), Ask("/shopping")),
        visit(
            "metadata",
            Ask("/shop/sitemap.xml"),
            Ask("/shop/sitemap.xml").settled(),
            Ask("/shop/sitemap.xml", "HEAD"),
            Ask("/shop/manifest.webmanifest"),
            Ask("/shop/manifest.webmanifest").settled(),
        ),
        visit("files", Files("/shop"), Ask("/shop/robots.txt"), Ask("/robots.txt")),
    ],
)
