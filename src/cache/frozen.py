"""Classes of values: frozen dataclasses that take a tenth of the time to define.

`dataclasses` writes the methods of a class as text and compiles that: in Pyodide up to a millisecond a class, more than all else
at the top of most modules. Here all classes share them. For `fields`, `replace` and `asdict` it is a dataclass like others.
"""

from __future__ import annotations

from dataclasses import MISSING, FrozenInstanceError, dataclass, field, fields, is_dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, dataclass_transform

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")

_SHARED = ("__init__", "__repr__", "__eq__", "__hash__", "__setattr__", "__delattr__")

_set = object.__setattr__
_with_fields = dataclass(init=False, repr=False, eq=False)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[_T]) -> type[_T]:
    """Make a class what `@dataclass(frozen=True)` makes of it. Methods that it has itself stay."""
    if any(is_dataclass(base) for base in cls.__bases__):
        return dataclass(frozen=True)(cls)  # the methods would have to know the fields of both
    made: Any = _with_fields(cls)
    made.__dataclass_params__.frozen = True
    made.__frozen_fields__ = _Fields(made)
    for name in _SHARED:
        if vars(cls).get(name) is None:
            setattr(made, name, vars(_Methods)[name])
    return cls


class _Fields:
    """What the methods need to know of the fields of a class, by name."""

    __slots__ = ("compared", "defaults", "factories", "given", "has_post_init", "made", "required", "shown")

    def __init__(self, cls: Any) -> None:
        every = fields(cls)
        factories = [(one, one.default_factory) for one in every if one.default_factory is not MISSING]
        self.given = tuple(one.name for one in every if one.init)
        self.required = frozenset(self.given)
        self.defaults = {one.name: one.default for one in every if one.init and one.default is not MISSING}
        self.factories: dict[str, Callable[[], object]] = {one.name: make for one, make in factories if one.init}
        self.made: list[tuple[str, Callable[[], object]]] = [(one.name, make) for one, make in factories if not one.init]
        self.shown = tuple(one.name for one in every if one.repr)
        self.compared = tuple(one.name for one in every if one.compare)
        self.has_post_init = hasattr(cls, "__post_init__")


class _Methods:
    __frozen_fields__: _Fields

    def __init__(self, *args: object, **kwargs: object) -> None:
        about = self.__frozen_fields__
        values = kwargs
        if args:
            if len(args) > len(about.given) or not kwargs.keys().isdisjoint(about.given[: len(args)]):
                raise TypeError(f"{type(self).__qualname__}: too many values, or one is given twice")
            values.update(zip(about.given, args, strict=False))
        if len(values) < len(about.given):
            values = {**about.defaults, **values}
            for name in about.factories.keys() - values.keys():
                values[name] = about.factories[name]()
        if values.keys() != about.required:
            missing, unknown = sorted(about.required - values.keys()), sorted(values.keys() - about.required)
            raise TypeError(f"{type(self).__qualname__}: missing {missing}, unknown {unknown}")
        for name, make in about.made:
            values[name] = make()
        # One by one: `vars()` would leave a dict beside each instance for as long as it lives.
        for name, value in values.items():
            _set(self, name, value)
        if about.has_post_init:
            self.__post_init__()  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        shown = (f"{name}={getattr(self, name)!r}" for name in self.__frozen_fields__.shown)
        return f"{type(self).__qualname__}({', '.join(shown)})"

    def __eq__(self, other: object) -> bool:
        return _compared(self) == _compared(other) if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash(_compared(self))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise FrozenInstanceError(f"cannot delete field {name!r}")


def _compared(made: Any) -> tuple[object, ...]:
    return tuple([getattr(made, name) for name in made.__frozen_fields__.compared])
