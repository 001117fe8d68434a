"""19: what people give is put in once, and is no template, no format and no pattern. Also kept by
tests/spec/test_values.py, tests/spec/test_references.py, tests/spec/test_params.py,
tests/steps/test_http.py and tests/steps/test_log_formats.py (patterns that take for ever)."""

import time

import pytest

from runbooks.errors import ConfigError, UsageError
from runbooks.spec.params import Param, parse_params
from runbooks.spec.placeholders import fill_text
from tests.spec.test_values import command

HOSTILE = (
    "{{ params.token }}",
    "{{ 7*7 }}",
    "{{ params.__class__ }}",
    "{0.__class__.__mro__}",
    "{token}",
    "%(token)s",
    "${token}",
    "#{7*7}",
    "<%= 7*7 %>",
    "{% raw %}",
    "\\{{ params.token }}",
    "{{",
    "}}",
)
#: References that are none, in a runbook.
REFERENCES = (
    "{{ params.__class__ }}",
    "{{ params['token'] }}",
    "{{ ''.__class__ }}",
    "{{ 7*7 }}",
    "{{ run.__init__ }}",
    "{{ steps.backup.__dict__ }}",
    "{{ params.version | upper }}",
    "{{ params.version() }}",
)
#: A pattern of a runbook, and a text for which it would take for ever.
SLOW = (
    (r"(a+)+", "a" * 60 + "!"),
    (r"(a|aa)+", "a" * 60 + "!"),
    (r"(.*)*x", "a" * 60),
    (r"(\w+\s?)+", "a" * 60 + "!"),
)


@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_is_not_read_again(value: str) -> None:
    """It is put in as it is, though it looks like a reference."""
    assert fill_text("v{{ params.version }}!", {"params.version": value}.get) == f"v{value}!"


@pytest.mark.parametrize("reference", REFERENCES)
def test_a_reference_is_a_name_and_nothing_else(reference: str) -> None:
    """There is no expression language that something could be done with."""
    with pytest.raises(ConfigError):
        command(f'["{reference}"]')


@pytest.mark.parametrize(("pattern", "text"), SLOW)
def test_a_pattern_that_would_search_for_ever_is_given_up(pattern: str, text: str) -> None:
    """Within seconds, and the value is refused."""
    param = Param.model_validate({"pattern": pattern})
    began = time.monotonic()

    with pytest.raises(UsageError):
        parse_params({"p": param}, {"p": text}, {})

    assert time.monotonic() - began < 30
