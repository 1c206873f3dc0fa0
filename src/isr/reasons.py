"""Why a request is not answered from the cache, or an answer not kept: each reason once, as the log and `why` say it."""

from __future__ import annotations

from enum import StrEnum


class Bypass(StrEnum):
    """Why a request passes by the cache, by its method, its URL or its headers."""

    PRIVATE_FOLDER = "a private folder"
    STATIC_FILE = "a file of the site, which the assets serve"
    FRAMEWORK_FILE = "a file of the framework"
    LONG_PATH = "a path that is too long"
    NOT_CANONICAL = "a path that is not canonical"
    NOT_DECODABLE = "a path that does not decode"
    QUERY = "a query"
    OUTSIDE_BASE_PATH = "outside the base path"
    OTHER_SLASH = "the other form of the trailing slash"
    RULE = "a rule of the app"
    ERROR_PAGE_DATA = "the data of a page for errors"
    METHOD = "a method other than GET and HEAD"
    DRAFT_MODE = "draft mode"
    LANGUAGE = "the visitor's language"
    RSC_VARIANT = "an RSC variant"
    WEBSOCKET = "a WebSocket"
    ACTION_BY_GET = "a Server Action by GET"
    UPGRADE = "an upgrade of a page"


class Unlikely(StrEnum):
    """Why a page is not looked for: it is hardly there."""

    DYNAMIC_IN_BUILD = "the build left it out as dynamic"
    DYNAMIC = "a render for everybody could not be kept a moment ago"
    VISITORS_ANSWER = "the last visitor's answer could not be kept a moment ago"
    FAILED = "it could not be rendered for anybody a moment ago"


class Unservable(StrEnum):
    """Why an entry that a cache gives does not answer the request."""

    TOMBSTONE = "a note that the page may not be kept"
    OTHER_KIND = "an entry of another kind"
    BAD_HEADER = "an entry that keeps a header that HTTP does not allow"
    EXPIRED = "an entry that has expired by now"


class Unselected(StrEnum):
    """Why a page that varies by headers of the request does not answer this one."""

    UNSELECTABLE = "a value of a header by which the page varies that nobody else will send"
    NOT_KEPT = "the page varies by headers by which no page is kept"
    OTHER_SELECTION = "the entry of the variant was made for other values"
    NO_PLACE = "all places for variants of the page are taken"
    ABSENT = "the variant is not there"


class Unkept(StrEnum):
    """Why the answer to a request is not kept, whatever it is."""

    HEAD = "a HEAD request"
    QUERY = "a request with a query"
    AUTHORIZATION = "a request with Authorization"
    RANGE = "a request for a range"
    BODY = "a request with a body"
    ROUTER_STATE = "a request with the state of a client's router"


class Inadmissible(StrEnum):
    """Why an answer of the page handler is not kept. The value of a directive is its name in `Cache-Control`."""

    FAILED_STATUS = "a status of a failure"
    STATUS = "a status that is not kept"
    REDIRECT_TO_ITSELF = "a redirect to its own path"
    COOKIE = "it sets a cookie"
    COMPRESSED = "its body is compressed"
    PART = "it is a part"
    VARIES = "it varies"
    UNSELECTABLE = "it varies by a header of which nobody else will send the same value"
    OWN_SPELLING = "it was made for a spelling of its own of what it varies by"
    OWN_CACHE = "the page handler's own cache answers"
    NO_STORE = "no-store"
    PRIVATE = "private"
    NO_CACHE = "no-cache"
    NO_PERIOD = "no period"
    CONTENT_TYPE = "its content type"
    BROKEN = "the page handler gave no answer, or it broke off"
    TOO_LARGE = "its body is too large"
    OTHER_LENGTH = "its body has another length than it says"
    NO_DATA = "a page of the Pages Router that does not tell its data"
    OTHER_BUILD = "the page handler is of another build"
    NOT_SHARED = "the app rendered it for this request alone"


class Served(StrEnum):
    """Why a page that is there is fresh or stale."""

    FRESH = "it is fresh"
    PERIOD_OVER = "its period is over"
    STALE_BY_TAG = "a tag has made it stale"
