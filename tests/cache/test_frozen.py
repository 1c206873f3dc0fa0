"""`frozen` beside `@dataclass(frozen=True)`: every test is run with both."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from cache.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Callable


class Point:
    """A class without the methods."""

    kind: ClassVar[str] = "point"
    x: int
    y: int = 2
    names: dict[str, str] = field(default_factory=dict)
    memo: list[int] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def total(self) -> int:
        return self.x + self.y


class Checked:  # noqa: PLW1641 - whether it gets a hash is what is tested
    """A class that checks its fields, and compares as it likes."""

    size: int

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError(f"a size of {self.size}")
        object.__setattr__(self, "size", int(self.size))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Checked)

    def __repr__(self) -> str:
        return "checked"


class Nothing:
    """A class without fields."""


@frozen
class FrozenPickled:
    """A class that pickle finds."""

    x: int


@dataclass(frozen=True)
class StandardPickled:
    """The same, of the standard library."""

    x: int


@pytest.fixture(params=[frozen, dataclass(frozen=True)], ids=["ours", "the standard library's"])
def define(request: pytest.FixtureRequest) -> Callable[[type], Any]:
    """Define a class anew by one or the other; neither may change the class it is given for the next test."""

    def defined(cls: type) -> Any:
        body = {name: value for name, value in vars(cls).items() if name not in {"__dict__", "__weakref__"}}
        return request.param(type(cls.__name__, cls.__bases__, copy.copy(body)))

    return defined


@pytest.fixture
def point(define: Callable[[type], Any]) -> Any:
    return define(Point)


def test_fields_are_given_by_place_or_by_name_or_have_defaults(point: Any) -> None:
    made = point(1)
    assert (made.x, made.y, made.names, made.memo, made.kind, made.total) == (1, 2, {}, [], "point", 3)
    made = point(1, 5, names={"a": "b"})
    assert (made.x, made.y, made.names) == (1, 5, {"a": "b"})
    assert point(y=3, x=4) == point(4, 3)
    assert point(1).names is not point(1).names
    assert point(1).memo is not point(1).memo


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), ((), {"y": 1}), ((1,), {"z": 1}), ((), {"z": 1}), ((1, 2, {}, []), {}), ((1,), {"x": 1}), ((1,), {"memo": []})],
)
def test_what_does_not_fit_is_a_type_error_that_names_the_class(point: Any, args: Any, kwargs: Any) -> None:
    with pytest.raises(TypeError, match="Point"):
        point(*args, **kwargs)


def test_nothing_can_be_changed(point: Any) -> None:
    made = point(1)
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'x'"):
        made.x = 2
    with pytest.raises(FrozenInstanceError, match="cannot delete field 'x'"):
        del made.x
    assert made.x == 1


def test_they_are_compared_by_their_fields(point: Any) -> None:
    made = point(1)
    made.memo.append(1)
    assert made == point(1)
    assert made != point(2)
    assert made != (1, 2, {})
    assert made.__eq__(1) is NotImplemented
    assert hash(point(1, names=())) == hash(point(1, 2, ()))
    with pytest.raises(TypeError, match="unhashable"):
        hash(made)


def test_they_show_their_fields(point: Any) -> None:
    assert repr(point(1, names={"a": "b"})) == "Point(x=1, y=2, names={'a': 'b'})"


def test_the_standard_library_takes_them_for_its_own(point: Any) -> None:
    made = point(1)
    is_one: bool = is_dataclass(made)
    assert is_one
    assert [one.name for one in fields(made)] == ["x", "y", "names", "memo"]
    assert replace(made, y=7) == point(1, 7)
    assert asdict(made) == {"x": 1, "y": 2, "names": {}, "memo": []}
    with pytest.raises(ValueError, match="memo"):
        replace(made, memo=[])
    match made:
        case point(x, y):
            assert (x, y) == (1, 2)


def test_a_class_may_check_its_fields_and_have_methods_of_its_own(define: Callable[[type], Any]) -> None:
    checked = define(Checked)
    with pytest.raises(ValueError, match="a size of -1"):
        checked(-1)
    assert checked(1.5).size == 1
    assert repr(checked(1)) == "checked"
    assert (checked(1) == checked(1)) is False
    assert hash(checked(1)) == hash(checked(1))


def test_a_class_without_fields(define: Callable[[type], Any]) -> None:
    nothing = define(Nothing)
    assert nothing() == nothing()
    assert repr(nothing()) == "Nothing()"
    with pytest.raises(TypeError):
        nothing(1)


@pytest.mark.parametrize("define_derived", [frozen, dataclass(frozen=True)])
def test_a_class_may_be_derived_from_another(define_derived: Callable[[type], Any], point: Any) -> None:
    derived = define_derived(type("Derived", (point,), {"__annotations__": {"z": int}, "z": 3}))
    assert (derived(1).y, derived(1).z) == (2, 3)
    assert derived(1, z=4) == derived(1, 2, z=4)
    assert derived(1) != derived(1, z=4)
    assert derived(1) != point(1)
    with pytest.raises(FrozenInstanceError):
        derived(1).z = 5


@pytest.mark.parametrize("cls", [FrozenPickled, StandardPickled])
def test_they_are_copied(cls: Any) -> None:
    made = cls(1)
    assert copy.copy(made) == copy.deepcopy(made) == pickle.loads(pickle.dumps(made)) == made  # noqa: S301 - our own
