"""The image endpoint over fakes: what it refuses, what it answers, what it keeps."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from tests.fakes.flight import FakeFlight
from tests.fakes.no_op import NoOpCacheHandler
from tests.fakes.ports import FakeBackground, FakeClock, FakeLog

from cache.entry import ImageValue
from cache.handler import entry_cache
from cache.memory import MemoryCacheHandler
from core.body import BytesBody
from core.runtime import Runtime
from isr.settings import ImagesSwitch, SettingError, read_settings
from pages.images.endpoint import ImageRedirect, Images, ImageSourceError, ImageTransformError, RemoteImage
from pages.images.formats import ImageFormat, is_animated, negotiate, sniff
from pages.images.request import ImageRefusedError, ImageRequest, parse_image_request
from pages.images.rules import NEGOTIATED, ImageRules, LocalPattern, RemotePattern, read_hosts, rules_of_app
from pages.request import PageRequest

if TYPE_CHECKING:
    from cache.handler import CacheHandler
    from core.body import Body, Buffer
    from pages.handler import WholeResponse

FILES = Path(__file__).parents[1] / "fixtures" / "python" / "assets" / "images"
RULES = ImageRules(hosts=("images.example", "*.cdn.example", "http://127.0.0.1:8080"))
PNG = (FILES / "picture.png").read_bytes()


def query(url: str, width: object = 640, quality: object = 75) -> str:
    return f"url={quote(url, safe='')}&w={width}&q={quality}"


ATTACKS = [
    "//evil.example/a.png",
    "///evil.example/a.png",
    "/\\evil.example/a.png",
    "\\\\evil.example/a.png",
    "/%5Cevil.example/a.png",
    "/%5c%5cevil.example/a.png",
    "/%2Fevil.example/a.png",
    "/%252Fevil.example/a.png",
    "/a//b.png",
    "/../secret.png",
    "/a/../../secret.png",
    "/%2e%2e/secret.png",
    "/%252e%252e/secret.png",
    "/./a.png",
    "/a\x00.png",
    "/a%00.png",
    "/a%0d%0aX-Header: 1",
    "/a\n.png",
    "/%25252525252525252f",
    "/%ff%fe.png",
    "/__prerender/index.html",
    "/%5f_prerender/index.html",
    "/__PRERENDER/index.html",
    "/__vinext/revalidate",
    "/_next/image?url=/a.png&w=640&q=75",
    "/_vinext/image",
    "/%5fnext/image",
    "/",
    "a.png",
    "",
    "data:image/png;base64,AAAA",
    "javascript:alert(1)",
    "file:///etc/passwd",
    "ftp://images.example/a.png",
    "blob:https://images.example/1",
    "http://images.example/a.png",
    "HTTPS://evil.example/a.png",
    "https://evil.example/a.png",
    "https:/images.example/a.png",
    "https:images.example/a.png",
    "https://images.example@evil.example/a.png",
    "https://user:pass@images.example/a.png",
    "https://images.example:8443/a.png",
    "https://images.example.evil.example/a.png",
    "https://evil-images.example/a.png",
    "https://cdn.example/a.png",
    "https://evilcdn.example/a.png",
    "https://images%2eexample/a.png",
    "https://images.example\\@evil.example/a.png",
    "https://ima\u0261es.example/a.png",
    "https://images.example\t/a.png",
    "https://127.0.0.1/a.png",
    "https://2130706433/a.png",
    "https://0x7f000001/a.png",
    "https://0177.0.0.1/a.png",
    "https://[::1]/a.png",
    "https://[::ffff:127.0.0.1]/a.png",
    "https://169.254.169.254/latest/meta-data",
    "https://10.0.0.1/a.png",
    "https://localhost/a.png",
    "http://127.0.0.1:8081/a.png",
    "http://127.0.0.1:8080@evil.example/a.png",
    "https://",
    "https:///a.png",
    "/" + "a" * 3072,
    "https://images.example/a/../b.png",
    "https://images.example/a/%2e%2E/b.png",
    "https://[::1/a.png",
]


@pytest.mark.parametrize("url", ATTACKS)
def test_an_attack_is_refused(url: str) -> None:
    with pytest.raises(ImageRefusedError):
        parse_image_request(query(url), RULES)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("url=/a.png&w=640", id="no quality"),
        pytest.param("w=640&q=75", id="no url"),
        pytest.param("url=/a.png&url=/b.png&w=640&q=75", id="two urls"),
        pytest.param("url=/a.png&w=640&w=750&q=75", id="two widths"),
        pytest.param("url=/a.png&w=640&q=75&x=1", id="another parameter"),
        pytest.param("url=/a.png&w=641&q=75", id="a width that is not on the list"),
        pytest.param("url=/a.png&w=640&q=80", id="a quality that is not on the list"),
        pytest.param("url=/a.png&w=0640&q=75", id="a leading zero"),
        pytest.param("url=/a.png&w=-640&q=75", id="below zero"),
        pytest.param("url=/a.png&w=6.4e2&q=75", id="no digits"),
        pytest.param("url=/a.png&w=٦٤٠&q=75", id="other digits"),
        pytest.param("url=/a.png&w=640000000&q=75", id="too many digits"),
        pytest.param("url=/%ff.png&w=640&q=75", id="not UTF-8"),
        pytest.param("url=/a.png&w=640&q=75&dpl=" + "a" * 20_000, id="too long"),
    ],
)
def test_a_malformed_query_is_refused(text: str) -> None:
    with pytest.raises(ImageRefusedError):
        parse_image_request(text, RULES)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("/a.png", ("/a.png", None)),
        ("/a.png?v=1#x", ("/a.png", None)),
        ("/%C3%BC/a b.png".replace(" ", "%20"), ("/%C3%BC/a%20b.png", None)),
        ("/ü.png", ("/%C3%BC.png", None)),
        ("/with space.png", ("/with%20space.png", None)),
        ("/a+b&c=d'e(f),g;h@i:j!.png", ("/a%2Bb%26c%3Dd'e(f)%2Cg%3Bh%40i%3Aj!.png", None)),
        ("https://images.example/with space ü.png", (None, "https://images.example/with%20space%20%C3%BC.png")),
        ("/100%25.png", ("/100%25.png", None)),
        ("/_next/static/media/a.png", ("/_next/static/media/a.png", None)),
        ("https://images.example/a b.png".replace(" ", "%20"), (None, "https://images.example/a%20b.png")),
        ("https://IMAGES.example/a.png?v=1#x", (None, "https://images.example/a.png?v=1")),
        ("https://a.cdn.example/", (None, "https://a.cdn.example/")),
        ("https://images.example?v=1", (None, "https://images.example?v=1")),
        ("http://127.0.0.1:8080/a.png", (None, "http://127.0.0.1:8080/a.png")),
    ],
)
def test_what_is_allowed_is_named_in_one_way(url: str, expected: tuple[str | None, str | None]) -> None:
    path, remote = expected
    assert parse_image_request(query(url) + "&dpl=1", RULES) == ImageRequest(path, remote, 640, 75)


@pytest.mark.parametrize("text", ["a", "a_b.example", "1.2.3.4", "*.example.*", "*", "https://a.example/path", "a.example/b"])
def test_hosts_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(SettingError, match=r"VINEXT_IMAGE_HOSTS .* allowed: hosts with commas"):
        read_settings({"VINEXT_IMAGE_HOSTS": text})


def test_settings_are_read() -> None:
    variables = {
        "VINEXT_IMAGE_HOSTS": "A.example, *.b.example",
        "VINEXT_IMAGE_WIDTHS": "100, 200",
        "VINEXT_IMAGE_QUALITIES": "75,90",
    }
    settings = read_settings({**variables, "VINEXT_IMAGE_SVG": "on", "VINEXT_IMAGES": "off"})
    expected = ImageRules((100, 200), (75, 90), ("a.example", "*.b.example"), allows_svg=True)
    assert settings.image_rules(ImageRules()) == expected
    assert settings.images is ImagesSwitch.OFF
    assert read_hosts("https://a.example:8443") == ("https://a.example:8443",)


PATTERNS = [
    # pattern, URL, whether it matches
    ({"hostname": "a.example"}, "https://a.example/x", True),
    ({"hostname": "a.example"}, "http://a.example/x", True),
    ({"hostname": "a.example", "protocol": "https"}, "http://a.example/x", False),
    ({"hostname": "a.example", "protocol": "https:"}, "https://a.example/x", True),
    ({"hostname": "*.a.example"}, "https://b.a.example/x", True),
    ({"hostname": "*.a.example"}, "https://c.b.a.example/x", False),
    ({"hostname": "*.a.example"}, "https://a.example/x", False),
    ({"hostname": "**.a.example"}, "https://c.b.a.example/x", True),
    ({"hostname": "**.a.example"}, "https://a.example/x", False),
    ({"hostname": "**"}, "https://any.example/x", True),
    ({"hostname": "**"}, "https://127.0.0.1/x", False),
    ({"hostname": "**"}, "http://127.0x0.0.1/x", False),
    ({"hostname": "**"}, "http://0177.0x0.1/x", False),
    ({"hostname": "**"}, "http://127.1./x", False),
    ({"hostname": "**"}, "http://localhost/x", False),
    ({"hostname": "**"}, "http://a.localhost/x", False),
    ({"hostname": "localhost", "port": "3000"}, "http://localhost:3000/x", True),
    ({"hostname": "127.0.0.1", "port": "8080"}, "http://127.0.0.1:8080/x", True),
    ({"hostname": "a.example", "port": ""}, "https://a.example:8443/x", False),
    ({"hostname": "a.example", "port": ""}, "https://a.example:443/x", True),
    ({"hostname": "a.example", "port": "8443"}, "https://a.example:8443/x", True),
    ({"hostname": "a.example"}, "https://a.example:8443/x", True),
    ({"hostname": "a.example", "pathname": "/account/**"}, "https://a.example/account/1/x.png", True),
    ({"hostname": "a.example", "pathname": "/account/**"}, "https://a.example/account", True),
    ({"hostname": "a.example", "pathname": "/account/**"}, "https://a.example/accounts/x", False),
    ({"hostname": "a.example", "pathname": "/account/*"}, "https://a.example/account/1/x.png", False),
    ({"hostname": "a.example", "pathname": "/account/*.png"}, "https://a.example/account/x.png", True),
    ({"hostname": "a.example", "search": ""}, "https://a.example/x?v=1", False),
    ({"hostname": "a.example", "search": "?v=1"}, "https://a.example/x?v=1", True),
    ({"hostname": "a.example"}, "https://a.example/x?v=1", True),
    ({"hostname": "a.example"}, "https://a-example/x", False),
]


@pytest.mark.parametrize(("pattern", "url", "matches"), PATTERNS)
def test_remote_patterns_are_those_of_next(pattern: dict[str, str], url: str, matches: bool) -> None:  # noqa: FBT001
    settings = read_settings({"VINEXT_IMAGE_REMOTE_PATTERNS": json.dumps([pattern])})
    assert settings.image_rules(ImageRules()).allows_remote(url) is matches


@pytest.mark.parametrize(
    ("patterns", "url", "matches"),
    [
        ([{"pathname": "/assets/**"}], "/assets/a.png", True),
        ([{"pathname": "/assets/**"}], "/other/a.png", False),
        ([{"pathname": "/assets/**"}], "/assets/%2e%2e/other/a.png", False),
        ([{"pathname": "/a b/*"}], "/a b/c.png", False),
        ([{"pathname": "/a%20b/*"}], "/a b/c.png", True),
        ([{"search": ""}], "/a.png?v=1", False),
        ([{"search": "?v=1"}], "/a.png?v=1", True),
        ([], "/a.png", False),
    ],
)
def test_local_patterns_are_those_of_next(patterns: list[dict[str, str]], url: str, matches: bool) -> None:  # noqa: FBT001
    rules = read_settings({"VINEXT_IMAGE_LOCAL_PATTERNS": json.dumps(patterns)}).image_rules(ImageRules())
    if matches:
        assert parse_image_request(query(url), rules).path
    else:
        with pytest.raises(ImageRefusedError):
            parse_image_request(query(url), rules)


def test_the_rules_of_an_app_hold_where_no_setting_says_otherwise() -> None:
    images = {
        "deviceSizes": [640],
        "imageSizes": [32],
        "qualities": [50],
        "domains": ["a.example"],
        "remotePatterns": [{"hostname": "b.example", "port": "", "pathname": "/x/**", "search": ""}],
        "localPatterns": [{"pathname": "/assets/**", "search": ""}],
        "formats": ["image/webp"],
        "minimumCacheTTL": 60,
        "maximumRedirects": 0,
        "dangerouslyAllowSVG": True,
        "unoptimized": False,
        "loader": "default",
    }
    expected = ImageRules(
        widths=(32, 640),
        qualities=(50,),
        hosts=("a.example",),
        remote_patterns=(RemotePattern("b.example", None, "", "/x/**", ""),),
        local_patterns=(LocalPattern("/assets/**", ""),),
        formats=(ImageFormat.WEBP,),
        period_seconds=60,
        max_redirects=0,
        allows_svg=True,
    )
    assert rules_of_app(images) == expected
    assert rules_of_app({}) == ImageRules()
    assert read_settings({"VINEXT_IMAGE_TTL": "5"}).image_rules(expected) == replace(expected, period_seconds=5)


@pytest.mark.parametrize(
    "images",
    [{"qualities": "x"}, {"domains": ["a/b"]}, {"remotePatterns": [{}]}, {"formats": ["image/gif"]}, {"deviceSizes": 1}],
)
def test_rules_of_an_app_that_make_no_sense_are_an_error(images: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each has words of its own
        rules_of_app(images)


@pytest.mark.parametrize(
    ("name", "text"),
    [("WIDTHS", "0"), ("WIDTHS", ""), ("WIDTHS", "a"), ("QUALITIES", "101"), ("SVG", "yes")]
    + [("FORMATS", "gif"), ("FORMATS", "webp,webp"), ("TTL", "-1"), ("REDIRECTS", "21"), ("LOCAL_PATTERNS", "{}")]
    + [("REMOTE_PATTERNS", text) for text in ("", "[{}]", '["a"]', '[{"hostname": "a b"}]', '[{"hostname": "a", "x": "y"}]')]
    + [("REMOTE_PATTERNS", json.dumps([{"hostname": "a.example", "pathname": path}])) for path in ("/[a]", "/{a,b}", "/!(a)")],
)
def test_wrong_settings_are_named(name: str, text: str) -> None:
    with pytest.raises(SettingError, match=f"VINEXT_IMAGE_{name}"):
        read_settings({f"VINEXT_IMAGE_{name}": text})


SNIFFED: list[Any] = [
    *(
        (name, kind, moves)
        for name, kind, moves in [
            ("picture.png", ImageFormat.PNG, False),
            ("picture.jpg", ImageFormat.JPEG, False),
            ("picture.webp", ImageFormat.WEBP, False),
            ("picture.avif", ImageFormat.AVIF, False),
            ("picture.gif", ImageFormat.GIF, False),
            ("moving.gif", ImageFormat.GIF, True),
            ("picture.svg", ImageFormat.SVG, False),
            ("broken.png", ImageFormat.PNG, False),
            ("text.png", None, False),
            ("empty.png", None, False),
        ]
    )
]


@pytest.mark.parametrize(("name", "kind", "moves"), SNIFFED)
def test_a_file_is_known_by_its_bytes(name: str, kind: ImageFormat | None, moves: bool) -> None:  # noqa: FBT001
    head = (FILES / name).read_bytes()[:4096]
    assert sniff(head) is kind
    assert kind is None or is_animated(kind, head) is moves


@pytest.mark.parametrize(
    ("head", "kind", "moves"),
    [
        (b"BM\x00", ImageFormat.BMP, False),
        (b"II*\x00", ImageFormat.TIFF, False),
        (b"\x00\x00\x01\x00", ImageFormat.ICO, False),
        (b"\x89PNG\r\n\x1a\n....acTL....IDAT", ImageFormat.PNG, True),
        (b"RIFF....WEBPVP8X\x0a\x00\x00\x00\x02", ImageFormat.WEBP, True),
        (b"\x00\x00\x00\x1cftypavis", ImageFormat.AVIF, True),
        (b"\xef\xbb\xbf <?xml version='1.0'?><!DOCTYPE svg><!-- a --><SVG >", ImageFormat.SVG, False),
        (b"<!-- -->" * 400, None, False),
        (b"<svgx>", None, False),
    ],
)
def test_more_kinds_of_files(head: bytes, kind: ImageFormat | None, moves: bool) -> None:  # noqa: FBT001
    assert sniff(head) is kind
    assert kind is None or is_animated(kind, head) is moves


@pytest.mark.parametrize(
    ("accept", "source", "wanted"),
    [
        ("image/avif,image/webp,*/*", ImageFormat.PNG, ImageFormat.AVIF),
        ("image/webp", ImageFormat.PNG, ImageFormat.WEBP),
        ("image/avif;q=0, image/webp;q=0.8", ImageFormat.JPEG, ImageFormat.WEBP),
        ("image/avif;q=0.0", ImageFormat.JPEG, ImageFormat.JPEG),
        ("IMAGE/AVIF", ImageFormat.JPEG, ImageFormat.AVIF),
        ("*/*", ImageFormat.PNG, ImageFormat.PNG),
        (None, ImageFormat.AVIF, ImageFormat.JPEG),
        ("", ImageFormat.GIF, ImageFormat.PNG),
        ("text/html", ImageFormat.TIFF, ImageFormat.JPEG),
    ],
)
def test_the_browser_chooses_the_format(accept: str | None, source: ImageFormat, wanted: ImageFormat) -> None:
    assert negotiate(accept, source, NEGOTIATED) is wanted


class Headers(dict[str, str]):
    """A request's headers."""


@dataclass
class World:
    rules: ImageRules = RULES
    transforms: bool = True
    elsewhere: dict[str, RemoteImage | ImageRedirect] = field(default_factory=dict)
    handler: CacheHandler | None = None
    clock: FakeClock = field(default_factory=FakeClock)
    background: FakeBackground = field(default_factory=FakeBackground)
    log: FakeLog = field(default_factory=FakeLog)
    asked: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=lambda: {"/a.png": PNG, "/_next/static/a.png": PNG})
    breaks: bool = False

    def __post_init__(self) -> None:
        self.kept: CacheHandler = self.handler or MemoryCacheHandler(10_000_000, self.clock)
        self.flight = FakeFlight(self.clock, self.log)
        runtime = Runtime(self.flight, self.background, self.clock, self.log)
        self.images = Images(
            self.rules, self, self if self.transforms else None, "build", entry_cache(self.kept), digest, runtime
        )

    async def local(self, path: str) -> Buffer:
        self.asked.append(path)
        await asyncio.sleep(0)
        if path not in self.files:
            raise ImageSourceError("missing", 400)
        return BytesBody(self.files[path])

    async def remote(self, url: str) -> RemoteImage | ImageRedirect:
        self.asked.append(url)
        if url not in self.elsewhere:
            raise ImageSourceError("unreachable", 502)
        return self.elsewhere[url]

    async def transform(self, source: Body, kind: ImageFormat, width: int, quality: int) -> Body:
        if self.breaks:
            raise ImageTransformError("broken")
        return BytesBody(f"{kind.value} {width} {quality}".encode())

    async def get(self, url: str = "/a.png", method: str = "GET", **headers: str) -> WholeResponse:
        given = Headers({name.replace("_", "-"): value for name, value in headers.items()})
        response = await self.images.answer(PageRequest(method, "https://a.test", "/_next/image", query(url), given))
        assert response is not None
        assert await self.background.done() == []
        return response


async def digest(body: Body) -> str:
    return hashlib.sha256(body.to_bytes()).hexdigest()[:32]


def text(response: WholeResponse) -> str | None:
    return None if response.body is None else response.body.to_bytes().decode("utf-8", "replace")


async def test_an_image_is_made_once_and_kept() -> None:
    world = World()
    first = await world.get(accept="image/avif")
    second = await world.get(accept="image/avif,image/webp")
    assert (text(first), first.header("x-vinext-cache")) == ("image/avif 640 75", "MISS")
    assert (text(second), second.header("x-vinext-cache")) == ("image/avif 640 75", "HIT")
    assert world.asked == ["/a.png"]
    headers = {name: second.header(name) for name in ("content-type", "vary", "cache-control", "x-content-type-options")}
    assert headers == {
        "content-type": "image/avif",
        "vary": "Accept",
        "cache-control": "public, max-age=14400, must-revalidate",
        "x-content-type-options": "nosniff",
    }
    assert second.header("content-security-policy") == "script-src 'none'; frame-src 'none'; sandbox;"
    assert second.header("content-disposition") == "inline"
    webp = await world.get(accept="image/webp")
    assert (text(webp), webp.header("x-vinext-cache")) == ("image/webp 640 75", "MISS")


async def test_files_with_a_hash_in_their_names_never_change() -> None:
    assert (await World().get("/_next/static/a.png")).header("cache-control") == "public, max-age=31536000, immutable"


async def test_an_etag_that_matches_is_a_304() -> None:
    world = World()
    etag = (await world.get()).header("etag") or ""
    for given in (etag, f'"x", W/{etag}', "*"):
        answer = await world.get(if_none_match=given)
        assert (answer.status, answer.body, answer.header("etag")) == (304, None, etag)
    assert (await world.get(if_none_match='"other"')).status == 200


async def test_head_has_no_body_and_post_is_not_allowed() -> None:
    assert (await World().get(method="HEAD")).body is None
    assert (await World().get(method="POST")).status == 405


async def test_a_stale_image_is_served_while_it_is_made_again() -> None:
    world = World()
    await world.get()
    world.clock.pass_seconds(RULES.period_seconds + 1)
    stale = await asyncio.gather(world.get(), world.get())
    assert [answer.header("x-vinext-cache") for answer in stale] == ["STALE", "STALE"]
    assert (await world.get()).header("x-vinext-cache") == "HIT"
    assert len(world.asked) == 2


async def test_an_image_whose_request_is_ended_while_it_is_made_is_made_half_a_minute_later() -> None:
    world = World()
    await world.get()
    world.clock.pass_seconds(RULES.period_seconds + 1)
    # The source of another visitor's never comes, and the platform has ended its request.
    claim = world.flight.claim(f"refresh {world.images._key(parse_image_request(query('/a.png'), RULES), None)}")
    assert claim is not None
    claim.go_on()
    for _ in range(30):
        assert (await world.get()).header("x-vinext-cache") == "STALE"
        world.clock.pass_seconds(1)
    assert len(world.asked) == 1
    assert (await world.get()).header("x-vinext-cache") == "STALE"
    assert (await world.get()).header("x-vinext-cache") == "HIT"


async def test_requests_at_the_same_time_share_one_run() -> None:
    world = World()
    answers = await asyncio.gather(*(world.get() for _ in range(4)))
    assert {text(answer) for answer in answers} == {"image/png 640 75"}
    assert world.asked == ["/a.png"]


async def test_without_a_transformer_the_original_is_served() -> None:
    answer = await World(transforms=False).get(accept="image/avif")
    assert (answer.header("content-type"), answer.body) == ("image/png", BytesBody(PNG))


async def test_what_cannot_be_transformed_is_served_as_it_is() -> None:
    world = World(breaks=True)
    answer = await world.get(accept="image/avif")
    assert (answer.status, answer.header("content-type")) == (200, "image/png")
    assert world.log.names() == ["image.not_transformed"]


@pytest.mark.parametrize(
    ("file", "allows_svg", "status", "content_type"),
    [
        ("moving.gif", False, 200, "image/gif"),
        ("picture.svg", False, 400, "text/plain; charset=utf-8"),
        ("picture.svg", True, 200, "image/svg+xml"),
        ("text.png", True, 400, "text/plain; charset=utf-8"),
        ("empty.png", True, 400, "text/plain; charset=utf-8"),
    ],
)
async def test_files_that_are_not_transformed(file: str, allows_svg: bool, status: int, content_type: str) -> None:  # noqa: FBT001
    world = World(rules=ImageRules(allows_svg=allows_svg), files={"/file": (FILES / file).read_bytes()})
    answer = await world.get("/file")
    assert (answer.status, answer.header("content-type")) == (status, content_type)
    assert answer.header("x-content-type-options") == "nosniff"


async def test_what_cannot_be_got_is_told_and_not_kept() -> None:
    world = World()
    assert (await world.get("/missing.png")).status == 400
    assert (await world.get("https://images.example/a.png")).status == 502
    assert (await world.get("https://evil.example/a.png")).status == 400
    assert world.asked == ["/missing.png", "https://images.example/a.png"]
    assert world.log.names() == ["image.failed"]


async def test_redirects_are_followed_as_far_as_each_is_allowed() -> None:
    end = RemoteImage(BytesBody(PNG))
    chain = {f"https://images.example/{number}": ImageRedirect(f"/{number + 1}") for number in range(4)}
    world = World(elsewhere={**chain, "https://images.example/4": end, "https://a.cdn.example/x": end})
    assert (await world.get("https://images.example/1")).status == 200
    assert (await world.get("https://images.example/0")).status == 502
    world.elsewhere["https://images.example/other"] = ImageRedirect("//a.cdn.example/x")
    assert (await world.get("https://images.example/other")).status == 200
    for location in (
        "https://evil.example/x",
        "http://169.254.169.254/",
        "//evil.example/x",
        "file:///x",
        "\\\\evil",
        "https://[::1/",
    ):
        asked = len(world.asked)
        world.elsewhere["https://images.example/bad"] = ImageRedirect(location)
        assert (await world.get("https://images.example/bad")).status == 502
        assert world.asked[asked:] == ["https://images.example/bad"]


@pytest.mark.parametrize(("max_age", "seconds"), [(None, 14_400), (60, 14_400), (86_400, 86_400)])
async def test_a_remote_image_is_fresh_for_as_long_as_its_server_says_and_for_the_setting_at_least(
    max_age: float | None, seconds: int
) -> None:
    url = "https://images.example/a.png"
    world = World(elsewhere={url: RemoteImage(BytesBody(PNG), max_age)})
    assert dict((await world.get(url)).headers)["cache-control"] == f"public, max-age={seconds}, must-revalidate"
    world.clock.pass_seconds(seconds - 1)
    assert dict((await world.get(url)).headers)["x-vinext-cache"] == "HIT"
    world.clock.pass_seconds(2)
    assert dict((await world.get(url)).headers)["x-vinext-cache"] == "STALE"


async def test_too_large_a_source_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pages.images.endpoint.MAX_BODY_BYTES", 100)
    assert (await World().get()).status == 400


async def test_a_cache_that_fails_does_not_change_results() -> None:
    class Failing(NoOpCacheHandler):
        async def get(self, key: str, context: Any = None) -> Any:
            raise OSError("unreachable")

    world = World(handler=Failing())
    assert (await world.get()).status == 200
    assert world.log.names() == ["cache.read_failed"]


async def test_an_entry_of_another_kind_is_made_anew() -> None:
    world = World()
    await world.get()
    handler = world.kept
    key = world.images._key(ImageRequest("/a.png", None, 640, 75), None)
    await handler.set(key, ImageValue(etag='"x"', buffer=BytesBody(b"x"), extension="exe"))
    assert (await world.get()).header("x-vinext-cache") == "MISS"
