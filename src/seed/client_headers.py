"""The headers of an RSC payload that say what path it is for."""

from __future__ import annotations

import json

from cache.keys import encode_uri_component


def client_headers(pattern: str, path: str) -> dict[str, str]:
    """What vinext 1.4.0 sends with an RSC payload about the path that it is for."""
    headers = {"X-Vinext-Rendered-Path-And-Search": encode_uri_component(path)}
    parameters = route_parameters(pattern, path)
    if parameters:
        text = json.dumps(parameters, ensure_ascii=False, separators=(",", ":"))
        headers["X-Vinext-Params"] = encode_uri_component(text)
    return headers


def route_parameters(pattern: str, path: str) -> dict[str, str | list[str]]:
    """The route's parameters, still percent-encoded as vinext keeps them.

    `:name` takes one segment, `:name+` one or more, `:name*` any number.
    """
    parameters: dict[str, str | list[str]] = {}
    segments = [part for part in path.split("/") if part]
    for position, part in enumerate(part for part in pattern.split("/") if part):
        if not part.startswith(":"):
            continue
        if part[-1] in "+*":
            rest = segments[position:]
            if rest:
                parameters[part[1:-1]] = rest
        elif position < len(segments):
            parameters[part[1:]] = segments[position]
    return parameters
