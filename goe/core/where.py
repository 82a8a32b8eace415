"""Which results a table is made of: `--where KEY=VALUE`, and that their protocols don't mix unasked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from goe.core.config import MODEL_ALIASES, RunConfig
from goe.core.errors import ConfigError, did_you_mean
from goe.core.results import Measured

_OF_RUN: dict[str, Callable[[RunConfig], str]] = {
    "experiment": lambda config: config.experiment,
    "method": lambda config: config.method_name,
    "model": lambda config: config.model,
    "dataset": lambda config: config.dataset,
}
_OF_RESULT: dict[str, Callable[[Measured], str]] = {
    "score": lambda item: item.result.score,
    "protocol": lambda item: item.result.protocol,
    "checkpoint": lambda item: item.result.checkpoint,
}
KEYS = (*_OF_RUN, *_OF_RESULT)


@dataclass(frozen=True, slots=True)
class Where:
    """Conditions by key: any pattern of a key must fit, of every key that has some."""

    patterns: tuple[tuple[str, str], ...] = ()
    """Keys and shell patterns (`*`, `?`, `[…]`), case kept."""

    @property
    def keys(self) -> frozenset[str]:
        """The keys with a condition."""
        return frozenset(key for key, _ in self.patterns)

    def fits(self, key: str, value: str) -> bool:
        """Whether `value` meets the conditions of `key`."""
        own = [pattern for name, pattern in self.patterns if name == key]
        return not own or any(fnmatchcase(value, pattern) for pattern in own)

    def choose(self, measured: Sequence[Measured]) -> list[Measured]:
        """The results that fit. Raises ConfigError for a pattern that none fits, with what there is."""
        problems = []
        for key, pattern in self.patterns:
            there = dict.fromkeys(_value(key, item) for item in measured)
            if there and not any(fnmatchcase(value, pattern) for value in there):
                problems.append(
                    f'--where: no result has {key} "{pattern}"{did_you_mean(pattern, there)}; '
                    f"there are: {', '.join(there)}"
                )
        if problems:
            raise ConfigError(problems)
        return [item for item in measured if all(self.fits(key, _value(key, item)) for key in KEYS)]

    def choose_runs(self, configs: Sequence[RunConfig]) -> list[RunConfig]:
        """The runs that fit, by what is known of a run before it has results."""
        return [config for config in configs if all(self.fits(key, of(config)) for key, of in _OF_RUN.items())]


def parse_where(conditions: Sequence[str]) -> Where:
    """From `KEY=VALUE`s. Raises ConfigError with every problem."""
    problems: list[str] = []
    patterns = []
    for condition in conditions:
        key, equals, value = (part.strip() for part in condition.partition("="))
        if not equals or not value:
            problems.append(f'--where: "{condition}" is not KEY=VALUE, for example --where method=goe')
        elif key not in KEYS:
            problems.append(f'--where: unknown key "{key}"{did_you_mean(key, KEYS)}; known: {", ".join(KEYS)}')
        else:
            patterns.append((key, MODEL_ALIASES.get(value, value) if key == "model" else value))
    if problems:
        raise ConfigError(problems)
    return Where(tuple(patterns))


def refuse_mixed_protocols(measured: Sequence[Measured]) -> None:
    """Raise ConfigError if results on one ID data set follow several protocols: their figures don't compare."""
    protocols: dict[str, dict[str, None]] = {}
    for item in measured:
        protocols.setdefault(item.result.id_dataset, {})[item.result.protocol] = None
    problems = [
        f"{dataset}: results of {len(names)} protocols, {', '.join(names)}, which don't compare; "
        f"choose one with --where protocol=NAME, or print a block for each with --mixed"
        for dataset, names in protocols.items()
        if len(names) > 1
    ]
    if problems:
        raise ConfigError(problems)


def _value(key: str, item: Measured) -> str:
    return _OF_RUN[key](item.config) if key in _OF_RUN else _OF_RESULT[key](item)
