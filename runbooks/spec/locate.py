"""From the place of an error in a model to its place in the file.

pydantic's `loc` names keys and items, but also members of unions, which are not in the file; the way is
found by walking the model's annotations and the file side by side.
"""

import types
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from runbooks.spec.source import Document, KeyPath


@dataclass(frozen=True)
class Spot:
    """Where a problem is: in the file, and in the model."""

    path: KeyPath
    wanted: Any  # the type there, without Annotated and None
    discriminator: str | None  # the key that tells apart the members of `wanted`, a union
    owner: type[BaseModel] | None  # the model that the last key belongs to
    is_key: bool  # the problem is with the key itself
    union: KeyPath | None  # the innermost union of models and other types,
    in_model: bool  # and whether the problem is one of a model in it


def locate(document: Document, model: type[BaseModel], at: KeyPath, loc: tuple[int | str, ...]) -> Spot:
    """The spot of an error with that `loc`, of `model` judging what is at `at`."""
    wanted: Any = model
    path, owner, union, in_model, is_key = at, None, None, False, False
    for item in loc:
        wanted, discriminator = _strip(wanted)
        members = _members(wanted)
        if item == "[key]":
            is_key = True
        elif members:
            wanted = _member(members, item, discriminator)
            if any(is_model(member) for member in members) and not all(map(is_model, members)):
                union, in_model = path, is_model(wanted)
        else:
            owner = wanted if is_model(wanted) else None
            wanted = _inside(wanted, item)
            # A missing key is not there, nor is the empty one that a threshold's short form makes.
            if (*path, item) in document.values:
                path = (*path, item)
    wanted, discriminator = _strip(wanted)
    return Spot(path, wanted, discriminator, owner, is_key, union, in_model)


def is_model(annotation: Any) -> bool:
    """Whether that is a pydantic model."""
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def tags(union: Any, discriminator: str) -> list[str]:
    """The words that the discriminator of that union may have."""
    return [tag for member in _members(union) for tag in _tags(member, discriminator)]


def _strip(annotation: Any) -> tuple[Any, str | None]:
    discriminator = None
    while True:
        if get_origin(annotation) is Annotated:
            for extra in annotation.__metadata__:
                if isinstance(extra, FieldInfo) and isinstance(extra.discriminator, str):
                    discriminator = extra.discriminator
            annotation = annotation.__origin__
            continue
        present = [member for member in _members(annotation) if member is not types.NoneType]
        if len(present) != 1:
            return annotation, discriminator
        annotation = present[0]


def _members(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else ()


def _member(members: Iterable[Any], label: int | str, discriminator: str | None) -> Any:
    for member in members:
        if is_model(member) and label in (*_tags(member, discriminator), member.__name__):
            return member
    return Any


def _tags(model: type[BaseModel], discriminator: str | None) -> tuple[Any, ...]:
    field = model.model_fields.get(discriminator) if discriminator else None
    return get_args(field.annotation) if field and get_origin(field.annotation) is Literal else ()


def _inside(annotation: Any, item: int | str) -> Any:
    if is_model(annotation):
        field = annotation.model_fields.get(str(item)) or next(
            (field for field in annotation.model_fields.values() if field.alias == item), None
        )
        return Annotated[field.annotation, field] if field else Any
    arguments = get_args(annotation) or (Any,)
    return arguments[-1] if get_origin(annotation) is dict else arguments[0]
