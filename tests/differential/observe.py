"""Asking one side what a script says, and what is seen of each answer."""

from __future__ import annotations

import hashlib
import html
import json
import re
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.differential.script import PERIOD_SECONDS, Ask, Files, Pause, Put, Submit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from http.client import HTTPResponse

    from tests.differential.script import Asked, Script, Visit
    from tests.differential.sides import Side

_TIMEOUT_SECONDS = 30
_SETTLING_SECONDS = 2
_POLL_SECONDS = 0.1
_LEAST_POLLS = 10
_LATE_SECONDS = 0.9
_SPARE_SECONDS = 0.4
_TOGETHER = 4
_TRANSPORT = frozenset({"date", "connection", "transfer-encoding", "content-length", "keep-alive"})
_STATE = "x-vinext-cache"
_NEXTJS_STATE = "x-nextjs-cache"
_FLIGHT = re.compile(r"<script[^>]*>[^<]*?\.rsc\.push\((\"(?:[^\"\\]|\\.)*\")\)</script>")
_FILE = re.compile(r'(?:href|src)="(/[^"?#]+\.(?:js|css|png|svg|ico|woff2|txt))"')
_DRAFT = re.compile(r"__prerender_bypass=([^;]+)")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
# What vinext writes into some of a page's renders and not into others, besides the page.
_ABOUT_RENDERING = {
    "says its stale time": re.compile(r'"__dynamicStaleTime":[^,}]*,?'),
    "says its compatibility": re.compile(r'"__artifactCompatibility":\{[^}]*\},?'),
}
_BOOTSTRAP_KIND = re.compile(r'Object\.assign\([^<;]*?,(\{"initialCacheKind":[^}]*\})\);?')
_EMPTY_BOUNDARY = "<!--$--><!--/$-->"
_TEXTUAL = ("text/", "application/json", "application/xml", "application/javascript")


@dataclass(frozen=True)
class Observation:
    """One answer. `traits` are compared: `status`, `state`, `body`, `payload`, `streams`, and each header by its name."""

    ask: Asked
    traits: Mapping[str, str]
    first_byte_ms: float
    is_late: bool


def observe(side: Side, script: Script) -> dict[str, list[Observation]]:
    """Ask a side everything; return what was seen, by visit."""
    with ThreadPoolExecutor(_TOGETHER) as threads:
        seen = threads.map(lambda visit: Visitor(side).run(visit), script.visits)
        return {visit.name: observations for visit, observations in zip(script.visits, seen, strict=True)}


class Visitor:
    """Makes one visit. It remembers the ETags that it was given, and the cookie of draft mode."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._rendered: dict[str, frozenset[str]] = {}
        self._etags: dict[str, str] = {}
        self._draft = ""

    def run(self, visit: Visit) -> list[Observation]:
        observations: list[Observation] = []
        began = time.monotonic()
        for step in visit.steps:
            if isinstance(step, Pause):
                time.sleep(step.seconds)
                began = time.monotonic()
            elif isinstance(step, Put):
                self._side.put(step.key, step.value)
            elif isinstance(step, Files):
                observations.append(self._ask_files(step))
            elif isinstance(step, Submit):
                observations.append(self._submit(step))
            else:
                observation = self.ask(step)
                if step.repeats_until_renewed:
                    began = time.monotonic()
                if step.is_compared:
                    observations.append(observation)
            if visit.waits_for_a_period and observations and time.monotonic() - began > PERIOD_SECONDS - _SPARE_SECONDS:
                observations[-1] = replace(observations[-1], is_late=True)
        return observations

    def ask(self, ask: Ask) -> Observation:
        sent = ask
        named = f"{ask.headers.get('Host', '')}{ask.path}"
        if ask.matching and named in self._etags:
            sent = replace(ask, headers={**ask.headers, "If-None-Match": self._etags[named]})
        headers = {name: value.replace("{draft}", self._draft) for name, value in sent.headers.items()}
        sent = replace(sent, path=sent.path.replace("{build}", self._side.words.build_id), headers=headers)
        answer = self._repeated(sent)
        if (draft := _DRAFT.match(answer.header("set-cookie") or "")) is not None:
            self._draft = draft[1]
        if (etag := answer.header("etag")) is not None:
            self._etags[named] = etag
        return Observation(ask, self._traits(answer, ask), answer.first_byte_seconds * 1000, answer.is_late)

    def _repeated(self, ask: Ask) -> Fetched:
        """Ask until the answer is as the request wants it, or it has been long enough."""
        deadline = time.monotonic() + _SETTLING_SECONDS + (PERIOD_SECONDS if ask.repeats_until_renewed else 0)
        was_old = False
        polls = 0
        while True:
            polls += 1
            answer = fetch(self._side.url, ask)
            is_hit = answer.header(_STATE) == "HIT"
            was_old = was_old or not is_hit
            is_as_wanted = is_hit and was_old if ask.repeats_until_renewed else is_hit or not ask.repeats_until_hit
            # A slow machine gets as many chances.
            if is_as_wanted or (time.monotonic() > deadline and polls >= _LEAST_POLLS):
                return answer
            time.sleep(_POLL_SECONDS)

    def _ask_files(self, files: Files) -> Observation:
        page = fetch(self._side.url, Ask(files.page))
        names = sorted(set(_FILE.findall(page.body.decode())))
        answers = [fetch(self._side.url, Ask(name)) for name in names]
        kinds = Counter(
            f"{answer.status} {answer.header('content-type')}, {answer.header('cache-control')}, "
            f"{'empty' if not answer.body else 'with content'}"
            for answer in answers
        )
        traits = {f"files {kind}": str(count) for kind, count in kinds.items()}
        return Observation(files, traits, 0, any(answer.is_late for answer in answers))

    def _submit(self, form: Submit) -> Observation:
        page = html.unescape(fetch(self._side.url, Ask(form.page)).body.decode())
        action = re.search(rf'name="(\$ACTION_ID_[^"]+#{form.action})"', page)
        assert action is not None, f"{form.page} has no form {form.action}"
        headers = {"Content-Type": "multipart/form-data; boundary=form", "Origin": self._side.url}
        body = f'--form\r\nContent-Disposition: form-data; name="{action[1]}"\r\n\r\n\r\n--form--\r\n'.encode()
        answer = fetch(self._side.url, Ask(form.page, "POST", headers, body))
        return Observation(form, self._traits(answer, Ask(form.page)), answer.first_byte_seconds * 1000, answer.is_late)

    def _traits(self, answer: Fetched, ask: Ask) -> dict[str, str]:
        traits = {"status": str(answer.status)}
        named: dict[str, list[str]] = {}
        for name, value in answer.headers:
            if name not in _TRANSPORT:
                named.setdefault(name, []).append(self._named(value))
        # Names of their own would only say the same again: a page's time, and the hash of its bytes.
        for name in ("etag", "age"):
            if name in named:
                named[name] = [f"<{name}>"]
        traits |= {name: ", ".join(sorted(values) if name == "set-cookie" else values) for name, values in named.items()}
        if (state := traits.pop(_STATE, None)) is not None:
            traits["state"] = state
            if traits.get(_NEXTJS_STATE) == state:
                del traits[_NEXTJS_STATE]
        traits |= self._body(answer)
        if (renewed := self._renewed(answer, ask)) is not None:
            traits["renewed"] = renewed
        if ask.slow_seconds:
            # An answer that is held back comes as one. One that streams may have begun late.
            traits["streams"] = "yes" if answer.last_byte_seconds - answer.first_byte_seconds > ask.slow_seconds / 8 else "no"
        return traits

    def _renewed(self, answer: Fetched, ask: Ask) -> str | None:
        """Which of the times in an answer its page did not have when it was last seen; None for a page without any."""
        times = self._side.words.of_a_render(answer.body.decode(errors="replace"))
        if not times:
            return None
        page = f"{ask.headers.get('Host', '')}{ask.path.partition('?')[0].removesuffix('.rsc')}"
        before = self._rendered.get(page)
        self._rendered[page] = times
        if before is None:
            return None
        return "no" if times <= before else "in part" if times & before else "yes"

    def _body(self, answer: Fetched) -> dict[str, str]:
        """The text of a document or file; of a payload the words in it, because each render numbers its rows anew."""
        media_type = answer.header("content-type") or ""
        if not answer.body:
            return {"body": ""}
        if media_type.startswith("text/x-component"):
            return _payload(self._named(answer.body.decode(errors="replace")))
        if not media_type.startswith(_TEXTUAL):
            return {"body": hashlib.sha256(answer.body).hexdigest()}
        text = self._named(answer.body.decode(errors="replace"))
        rows = "".join(json.loads(found) for found in _FLIGHT.findall(text))
        body = _BOOTSTRAP_KIND.sub("", _FLIGHT.sub("", text)).replace(_EMPTY_BOUNDARY, "")
        kind = _BOOTSTRAP_KIND.search(text)
        about = {"says its kind": kind[1]} if kind is not None else {}
        return {"body": body, **about, **(_payload(rows) if rows else {})}

    def _named(self, text: str) -> str:
        return self._side.words.replaced(text, self._side.url)


def _payload(rows: str) -> dict[str, str]:
    """The strings of a payload, each once, without references to its rows; and what vinext says about its rendering."""
    about = {name: "yes" for name, pattern in _ABOUT_RENDERING.items() if pattern.search(rows)}
    for pattern in _ABOUT_RENDERING.values():
        rows = pattern.sub("", rows)
    strings = {found for found in _STRING.findall(rows) if not found.startswith('"$')}
    return {"payload": "\n".join(sorted(strings)), **about}


@dataclass(frozen=True)
class Fetched:
    """An answer as it came; header names are in lower case, and a name may be there twice."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    first_byte_seconds: float
    last_byte_seconds: float
    is_late: bool

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)


def fetch(url: str, ask: Ask) -> Fetched:
    """Send one request, with its line exactly as the script has it, and note when its answer comes."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=_TIMEOUT_SECONDS)
    start = time.monotonic()
    try:
        connection.putrequest(ask.method, ask.path, skip_host="Host" in ask.headers, skip_accept_encoding=True)
        for name, value in ask.headers.items():
            connection.putheader(name, value)
        if ask.body is not None:
            connection.putheader("Content-Length", str(len(ask.body)))
        connection.endheaders(ask.body)
        response = connection.getresponse()
        headers = [(name.lower(), value) for name, value in response.getheaders()]
        body, first, last = _read(response, start)
    finally:
        connection.close()
    return Fetched(response.status, headers, body, first, last, last > ask.slow_seconds + _LATE_SECONDS)


def _read(response: HTTPResponse, start: float) -> tuple[bytes, float, float]:
    body = b""
    first: float | None = None
    while part := response.read1(65536):
        first = first or time.monotonic() - start
        body += part
    last = time.monotonic() - start
    return body, first or last, last
