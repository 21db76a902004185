"""What is asked of every component: its options, how it is built, and that it can travel."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ValidationError

from defectscope.core.errors import PluginLoadError
from defectscope.core.options import Options
from defectscope.plugins.conformance.basics import Check, Setup, expect, pickled
from defectscope.plugins.declarations import check_declarations

__all__ = ["CHECKS"]

UNKNOWN_OPTION = "an_option_that_does_not_exist"


def check_options_are_described(component: type[Any], setup: Setup) -> None:
    """Every option has a description."""
    model = _options_of(component)
    silent = [name for name, info in model.model_fields.items() if not info.description]
    expect(
        not silent,
        f"every option needs a description, which 'plugins info' and the command line show; "
        f"{model.__qualname__} has none for: {', '.join(silent)}",
    )


def check_options_have_defaults(component: type[Any], setup: Setup) -> None:
    """The options can be left out, every one of them."""
    model = _options_of(component)
    required = [name for name, info in model.model_fields.items() if info.is_required()]
    expect(
        not required,
        f"every option needs a default (None, where the user must choose, and an OptionError "
        f"when the component is opened); without one: {', '.join(required)}",
    )
    try:
        model()
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        expect(False, f"the default of option {name!r} breaks its own limits: {first['msg']}")


def check_unknown_options_are_refused(component: type[Any], setup: Setup) -> None:
    """An option that does not exist is refused."""
    model = _options_of(component)
    try:
        model.model_validate({**setup.options, UNKNOWN_OPTION: 1})
    except ValidationError as error:
        expect(
            any(UNKNOWN_OPTION in entry["loc"] for entry in error.errors()),
            f"{model.__qualname__} must refuse an unknown option, found: {error}",
        )
        return
    expect(False, f'{model.__qualname__} must keep extra="forbid", or typing errors pass unseen')


def check_options_survive_json(component: type[Any], setup: Setup) -> None:
    """The options come back from JSON as they were."""
    options = setup.build(component).options
    text = json.dumps(options.model_dump(mode="json"))
    for back, way in (
        (type(options).model_validate(options.model_dump()), "model_dump"),
        (type(options).model_validate(json.loads(text)), "JSON"),
    ):
        expect(
            back == options,
            f"options must come back from {way} as they were, or a run cannot be repeated from "
            f"its run.json: expected {options!r}, found {back!r}",
        )


def check_declares_names(component: type[Any], setup: Setup) -> None:
    """The defect types and shapes that it declares are names, not the letters of one."""
    try:
        check_declarations(component)
    except PluginLoadError as error:
        expect(False, str(error))


def check_built_from_options_and_runtime(component: type[Any], setup: Setup) -> None:
    """It is built as Class(options, runtime), and keeps both."""
    built = setup.build(component)
    expect(
        isinstance(built.options, component.Options),
        f"a component must keep its options as self.options, found {_kind(built.options)}; "
        "call super().__init__(options, runtime) in your __init__",
    )
    expect(
        built.runtime is setup.runtime,
        f"a component must keep the runtime it is given as self.runtime, "
        f"found {_kind(built.runtime)}",
    )


def check_context_manager(component: type[Any], setup: Setup) -> None:
    """It can be opened and closed again, more than once."""
    built = setup.build(component)
    for _ in range(2):
        with built as entered:
            expect(
                entered is built,
                f"'with component as c' must give the component itself, found {_kind(entered)}",
            )


def check_survives_pickling(component: type[Any], setup: Setup) -> None:
    """Before it is opened it survives pickling."""
    built = setup.build(component)
    copy = pickled(built)
    expect(
        type(copy) is type(built) and copy.options == built.options,
        f"a pickled copy must have the same class and options, found {type(copy).__name__} "
        f"with {copy.options!r}",
    )


class _RaisedInsideError(Exception):
    pass


def check_exceptions_pass_through(component: type[Any], setup: Setup) -> None:
    """Closing does not swallow what was raised inside."""
    built = setup.build(component)
    built.__enter__()
    error = _RaisedInsideError()
    expect(
        not built.__exit__(type(error), error, None),
        "__exit__ must not return a true value: it hides errors inside a run",
    )


def _options_of(component: type[Any]) -> type[BaseModel]:
    model = getattr(component, "Options", None)
    expect(
        isinstance(model, type) and issubclass(model, Options),
        f"{component.__name__}.Options must be a subclass of defectscope.Options, found {model!r}",
    )
    assert isinstance(model, type)
    return model


def _kind(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


CHECKS: tuple[Check, ...] = (
    check_options_are_described,
    check_options_have_defaults,
    check_unknown_options_are_refused,
    check_options_survive_json,
    check_declares_names,
    check_built_from_options_and_runtime,
    check_context_manager,
    check_exceptions_pass_through,
    check_survives_pickling,
)
