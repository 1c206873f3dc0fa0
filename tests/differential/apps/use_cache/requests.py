""" "use cache" with cacheLife and cacheTag, periods of the app's own, and Server Actions that change what is cached."""

from tests.differential.client import navigation, payload, prefetch
from tests.differential.script import Ask, Pause, Put, Script, Submit, visit

_ANN = {"Cookie": "user=ann"}


def _renew(tag: str, profile: str) -> Ask:
    return Ask(f"/api/renew?tag={tag}&profile={profile}", "POST", body=b"")


SCRIPT = Script(
    visits=[
        visit(
            "tags",
            Ask("/products"),
            Ask("/products").settled(),
            payload("/products").settled(),
            Put("products", "new"),
            _renew("products", "max"),
            Ask("/products"),
            Pause(0.6),
            Ask("/products").settled(),
            payload("/products").settled(),
            Put("products", "newer"),
            _renew("products", "now"),
            Ask("/products"),
            Ask("/products").settled(),
            payload("/products").settled(),
        ),
        visit(
            "a product and a basket",
            Ask("/products/one"),
            Ask("/products/two"),
            Pause(0.4),
            Ask("/products/two", headers=_ANN),
            Put("product-two", "new"),
            Ask("/products/two"),
            _renew("product%3Atwo", "now"),
            Ask("/products/two"),
            payload("/products/two"),
            payload("/products/two"),
            payload("/products/two").having(**_ANN),
        ),
        visit(
            "periods of the app",
            Ask("/quick").just_renewed(),
            Ask("/quick").settled(),
            payload("/quick").settled(),
            navigation("/quick"),
            prefetch("/quick"),
            Pause(2.2),
            Ask("/quick"),
            Pause(0.6),
            Ask("/quick").settled(),
            payload("/quick").settled(),
        ),
        visit(
            "what is not there",
            Ask("/gone/one"),
            Ask("/gone/one").settled(),
            payload("/gone/one").settled(),
            payload("/gone/two"),
            payload("/gone/two").settled(),
            Ask("/gone/two").settled(),
        ),
        visit(
            "actions",
            Ask("/form"),
            Ask("/form").settled(),
            Put("form", "new"),
            Submit("/form", "update"),
            Ask("/form"),
            Ask("/form").settled(),
            Put("form", "newer"),
            Submit("/form", "later"),
            Ask("/form"),
            Pause(0.6),
            Ask("/form").settled(),
            Put("form", "newest"),
            Submit("/form", "updateAndGo"),
            Ask("/form"),
        ),
        visit("static", Ask("/"), Ask("/"), Ask("/").again(), Ask("/", "HEAD")),
    ],
)
