"""Reads the query string into a pydantic model; an unknown or repeated parameter is an error, as an unknown field is."""

from typing import TypeVar

import flask
import pydantic

from web import json_body, problems

Model = TypeVar("Model", bound=pydantic.BaseModel)

BASE = "/query"


def read(model: type[Model]) -> Model:
    """Validate the query string.

    Raises:
        problems.Problem: a parameter is unknown, repeated, or has a value that is not valid.
    """
    given = flask.request.args
    wrong = [
        problems.FieldError(f"#{BASE}/{name}", "repeated", f"The parameter {name!r} is given more than once.")
        for name in given
        if len(given.getlist(name)) > 1
    ]
    wrong += [
        problems.FieldError(f"#{BASE}/{name}", "not-storable", "NUL characters cannot be stored.")
        for name, value in given.items()
        if not json_body.storable(name + value)
    ]
    if wrong:
        raise problems.refused(*wrong)
    values = given.to_dict()
    try:
        return model.model_validate(values)
    except pydantic.ValidationError as error:
        raise problems.invalid(error, values, base=BASE, known=model.model_fields) from error
