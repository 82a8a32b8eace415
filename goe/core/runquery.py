"""Filters on runs: `acc>0.95 state:failed,lost -method:oe or seed:1`.

    query  = all of these, `or` all of those, …
    term   = [-] word            in id, experiment, method, model, data set or state
           | [-] name OP value   name: a column, a metric or a key of the configuration (goe/core/runfields.py)
    OP     = `:` or `=`  is it: any of several with commas, `*` for any letters, `none` where nothing is known;
                         `id`, `experiment` and `problem` after `:` only have to contain it
           | `!=`        is it not
           | `<` `<=` `>` `>=`   numbers; `95%`, and `30s`, `5m`, `2h`, `1d` for times

Quotes keep spaces, commas and signs together: `"two words"`. Upper and lower case are alike.
"""

import operator
import re
from collections.abc import Callable, Collection
from types import MappingProxyType
from typing import TypeAlias

from msgspec import Struct

from goe.core.errors import ConfigError, did_you_mean
from goe.core.overview import RunView
from goe.core.runfields import FIELDS, SHORT, Read, field, is_text
from goe.core.state import RunState

Test: TypeAlias = Callable[[RunView], bool]

_TOKEN = re.compile(r'(?:"[^"]*"?|[^\s"])+')
_PART = re.compile(r'(?:"[^"]*"|[^,"])+')
_TERM = re.compile(r"(?P<name>[A-Za-z_][\w./-]*)(?P<sign>>=|<=|!=|>|<|=|:)(?P<value>.*)", re.DOTALL)
_NUMBER = re.compile(r"(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?P<unit>%|s|m|h|d)?")
_UNITS = MappingProxyType({None: 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0})
_COMPARE = MappingProxyType({"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge})
_WITHIN = ("id", "experiment", "problem")
_SEARCHED = ("id", "experiment", "method", "model", "data", "state")


class Query(Struct, frozen=True):
    """A filter that was understood."""

    text: str
    ways: tuple[tuple[Test, ...], ...] = ((),)
    """A run is shown when it passes every test of one of them."""

    def __call__(self, view: RunView) -> bool:
        """Whether the run is shown."""
        return any(all(test(view) for test in tests) for tests in self.ways)


EVERYTHING = Query("")


def parse_query(text: str, metrics: Collection[str]) -> Query:
    """The filter; `metrics` are the names known from the runs. Raises ConfigError with the place of each mistake."""
    query, mistakes = understand(text, metrics)
    if mistakes:
        raise ConfigError(mistakes)
    return query


def understand(text: str, metrics: Collection[str]) -> tuple[Query, list[str]]:
    """The filter without the terms that can't be understood, and what is wrong with each of these."""
    ways: list[list[tuple[str, Test]]] = [[]]
    mistakes: list[str] = []
    tokens = list(_TOKEN.finditer(text))
    for place, token in enumerate(tokens):
        try:
            if token[0].lower() != "or":
                ways[-1].append((token[0], _at(token.start(), token[0], metrics)))
            elif place in {0, len(tokens) - 1} or tokens[place - 1][0].lower() == "or":
                raise _mistake(token.start(), '"or" stands between two terms; "\\"or\\"" searches for the word')
            else:
                ways.append([])
        except ConfigError as error:
            mistakes += error.problems
    kept = [way for way in ways if way]
    if not kept:
        return EVERYTHING, mistakes
    words = " or ".join(" ".join(token for token, _ in way) for way in kept)
    return Query(words, tuple(tuple(test for _, test in way) for way in kept)), mistakes


def _mistake(place: int, finding: str) -> ConfigError:
    return ConfigError([f"filter, character {place + 1}: {finding}"])


def _at(place: int, token: str, metrics: Collection[str]) -> Test:
    if token.count('"') % 2:
        raise _mistake(place + token.rindex('"'), 'a quote is not closed; add a "')
    negated = token.startswith("-") and len(token) > 1
    try:
        test = _term(token[negated:], metrics)
    except ConfigError as error:
        raise _mistake(place + negated, error.problems[0]) from None
    return (lambda view: not test(view)) if negated else test


def _term(token: str, metrics: Collection[str]) -> Test:
    match = _TERM.fullmatch(token)
    if match is None:
        return _word(_bare(token))
    name, sign, value = match["name"], match["sign"], match["value"]
    read = field(name, metrics)
    if not value:
        raise ConfigError([f'a value is missing after "{name}{sign}"'])
    if sign in _COMPARE:
        return _comparison(name, read, sign, _bare(value))
    within = sign == ":" and SHORT.get(name, name) in _WITHIN
    if name == "state":
        _check_states(_parts(value))
    is_it = _any_of([_choice(read, f"*{part}*" if within else part) for part in _parts(value)])
    return (lambda view: not is_it(view)) if sign == "!=" else is_it


def _check_states(parts: list[str]) -> None:
    for part in parts:
        if "*" not in part and part.casefold() not in set(RunState):
            raise ConfigError([f'unknown state "{part}"{did_you_mean(part, RunState)}; known: {", ".join(RunState)}'])


def _any_of(choices: list[Test]) -> Test:
    return lambda view: any(has(view) for has in choices)


def _parts(value: str) -> list[str]:
    """At commas outside of quotes."""
    return [_bare(part[0]) for part in _PART.finditer(value)]


def _bare(text: str) -> str:
    return text.replace('"', "")


def _word(text: str) -> Test:
    wanted = text.casefold()
    reads = [FIELDS[name] for name in _SEARCHED]
    return lambda view: any(wanted in str(read(view) or "").casefold() for read in reads)


def _comparison(name: str, read: Read, sign: str, value: str) -> Test:
    wanted, compare = number_of(value), _COMPARE[sign]
    if is_text(name):
        raise ConfigError([f'"{name}" holds words; write {name}:{value}'])
    if wanted is None:
        raise ConfigError([f'"{value}" is not a number such as 0.95, 95% or 2h'])

    def test(view: RunView) -> bool:
        found = read(view)
        return isinstance(found, int | float) and bool(compare(found, wanted))

    return test


def _choice(read: Read, value: str) -> Test:
    text, wanted = value.casefold(), number_of(value)
    pattern = re.compile(".*".join(re.escape(part) for part in text.split("*")), re.DOTALL)

    def test(view: RunView) -> bool:
        found = read(view)
        if found is None:
            return text == "none"
        if isinstance(found, str):
            return pattern.fullmatch(found.casefold()) is not None
        return wanted is not None and abs(found - wanted) <= 1e-9 * max(1.0, abs(wanted))

    return test


def number_of(text: str) -> float | None:
    """`0.95`, `95%`, `1e-4`, `2h` in seconds; None for anything else."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    value, unit = float(match["number"]), match["unit"]
    return value / 100 if unit == "%" else value * _UNITS[unit]  # divided, so that 95% is 0.95 to the last bit
