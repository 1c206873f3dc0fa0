"""The locales of next.config's `i18n`, by which the pages of the Pages Router are kept apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.javascript import json_text

_LOCALE_COOKIE = "NEXT_LOCALE="


@dataclass(frozen=True)
class DomainLocale:
    """A domain with a default locale of its own."""

    domain: str
    default_locale: str

    @property
    def host(self) -> str:
        """The domain as a request's host is compared with it: in lower case, without a port."""
        return self.domain.lower().partition(":")[0]


@dataclass(frozen=True)
class I18n:
    """The locales of a site. The first segment of a path may name one; else the domain's default counts, or the site's."""

    locales: tuple[str, ...]
    default_locale: str
    domains: tuple[DomainLocale, ...] = ()
    has_detection: bool = True

    def may_lead_away(self, host: str, accept_language: str | None, cookies: str | None) -> bool:
        """Return whether Next.js may redirect a visitor of the root to the root in another language, which they prefer."""
        if not self.has_detection:
            return False
        if cookies is not None and _LOCALE_COOKIE in cookies:
            return True
        own = next((each.default_locale for each in self.domains if each.host == host), self.default_locale).lower()
        wanted = {part.partition(";")[0].strip().lower() for part in (accept_language or "").split(",")}
        languages: dict[str, str] = {"*": "any"}
        for locale in map(str.lower, self.locales):
            languages[locale] = locale
            parts = locale.split("-")
            for count in range(1, len(parts)):
                # A language stands for the first of its regions.
                languages.setdefault("-".join(parts[:count]), locale)
        return not {languages[each] for each in wanted if each in languages} <= {own}

    def names_locale(self, path: str) -> bool:
        """Return whether the first segment of a path names a locale."""
        return path[1:].partition("/")[0].lower() in map(str.lower, self.locales)

    def identity(self, path: str, host: str = "") -> tuple[str, str]:
        """Return the path without its locale, and the part of vinext's key that says which locale it is.

        `path` is one of `normalize_path`; `host` is that of a configured domain, "" for any other.
        """
        domain = next((each for each in self.domains if each.host == host), None)
        first, slash, rest = path[1:].partition("/")
        locale = next((each for each in self.locales if each.lower() == first.lower()), None)
        if locale is None:
            locale = self.default_locale if domain is None else domain.default_locale
        else:
            path = f"{slash}{rest}" or "/"
        if domain is None:
            return path, f"locale:{locale}"
        return path, json_text([domain.domain.lower(), locale])

    def to_document(self) -> dict[str, object]:
        domains = [{"domain": each.domain, "defaultLocale": each.default_locale} for each in self.domains]
        return {
            "locales": list(self.locales),
            "defaultLocale": self.default_locale,
            "domains": domains,
            "localeDetection": self.has_detection,
        }

    @classmethod
    def from_document(cls, document: Any) -> I18n | None:
        """Read what `to_document` gives; None stays None. Raise KeyError, TypeError or ValueError for anything else."""
        if document is None:
            return None
        domains = tuple(DomainLocale(_text(each["domain"]), _text(each["defaultLocale"])) for each in document["domains"])
        has_detection = document.get("localeDetection") is not False
        return cls(tuple(map(_text, document["locales"])), _text(document["defaultLocale"]), domains, has_detection)


def _text(value: object) -> str:
    if not isinstance(value, str):
        message = f"{value!r} is not a string"
        raise TypeError(message)
    return value
