"""The form of an experiment of the queue file: what it asks, and the edit that its answers make.

What somebody else wrote into the file meanwhile is kept, and written over only once that was said.
"""

from collections.abc import Sequence

import tomlkit

from goe.core import queueedit
from goe.core.errors import ConfigError
from goe.core.queueedit import Edit
from goe.core.queueentries import entries_of, lines_of
from goe.core.queuehistory import History
from goe.core.queuekeys import experiment_keys
from goe.core.setting import Setting, parse_key, parse_setting
from goe.core.tomledit import spell_key
from goe.core.tomlpos import layout
from tui.screens.form import Field, Findings, Form, Values

NAME = "name"
_USUAL = ("method", "dataset", "model", "seeds", "epochs")
"""Asked for always; other keys where they are set, or when they are named."""


class EntryForm:
    """One experiment to be added, edited or copied. `text` is the file when the form was opened."""

    def __init__(self, history: History, text: str, source: str = "", new_name: str | None = None) -> None:
        self._history = history
        self._text = text
        self._source = source
        """The experiment to edit or copy; empty for a new one."""
        self._copies = bool(source) and new_name is not None
        self._defaults = _defaults(text)
        self._written = _written(text, source) or {}
        """What the file says of it, as it is shown: when the form was opened, or as the user was told since."""
        self._fields = self._asked(new_name if new_name is not None else source)

    def form(self, note: str = "") -> Form:
        """The form, to be shown."""
        title = (
            f"Copy of {self._source}" if self._copies else f"Edit {self._source}" if self._source else "New experiment"
        )
        more = {name: self._field(name, "") for name in experiment_keys()}
        return Form(title, self._fields, self._apply, self._check, more, note)

    def edit(self, values: Values) -> Edit:
        """The edit that these answers make of the file. Raises ConfigError for an answer that can't be written."""
        name, source, changed = values[NAME], self._source, self._changed(values)
        settings = [_setting(key, value) for key, value in changed.items() if value]
        gone = [_key(key) for key, value in changed.items() if not value]
        if not source:
            return lambda text: queueedit.add(text, name, settings)
        if self._copies:
            return lambda text: _amend(queueedit.duplicate(text, source, name), name, settings, gone)
        renamed = [Setting((NAME,), tomlkit.item(name).as_string())] if name != source else []
        return lambda text: _amend(text, source, settings + renamed, gone)

    def _changed(self, values: Values) -> Values:
        return {key: value for key, value in values.items() if key != NAME and value != self._written.get(key, "")}

    def _apply(self, values: Values) -> Findings:
        what = f"copy {self._source}" if self._copies else f"edit {self._source}" if self._source else "add"
        overtaken: dict[str, str] = {}
        try:
            self._history.apply(self._edit_unless(overtaken, values), what if self._source else f"add {values[NAME]}")
        except ConfigError as error:
            return overtaken or self._check(values) or {"": "\n".join(error.problems)}
        return {}

    def _edit_unless(self, overtaken: dict[str, str], values: Values) -> Edit:
        """`edit`, but for what the user was not told of: that is put into `overtaken`, and nothing written."""

        def edit(text: str) -> str:
            overtaken.update(self._overtaken(text, values))
            if overtaken:
                raise ConfigError([*overtaken.values()])
            return self.edit(values)(text)

        return edit

    def _overtaken(self, text: str, values: Values) -> Findings:
        """Keys that are to be changed and that somebody else changed as well; the next time they count as known."""
        now = None if self._copies else _written(text, self._source)
        if now is None:
            return {}  # nothing of it is written over, or the edit itself says that it is gone
        self._text = text
        others = {key: now.get(key, "") for key in self._changed(values)}
        news = {key: value for key, value in others.items() if value != self._written.get(key, "")}
        self._written |= news
        return {
            key: f"saved meanwhile as {value}; enter again writes over it"
            if value
            else "taken out of the file meanwhile; enter again writes it"
            for key, value in news.items()
            if value != values[key]
        }

    def _check(self, values: Values) -> Findings:
        path = self._history.path
        try:
            new = self.edit(values)(self._text)
            found = queueedit.new_problems(self._text, new, path)
        except ConfigError as error:
            return {"": "\n".join(error.problems)}
        return _by_field(new, values[NAME], found) if found else {}

    def _asked(self, name: str) -> tuple[Field, ...]:
        written = self._written
        dotted = {key.partition(".")[0] for key in written if "." in key}
        usual = [key for key in _USUAL if key not in dotted]
        keys = usual + [key for key in written if key not in usual]
        return (self._field(NAME, name), *(self._field(key, written.get(key, "")) for key in keys))

    def _field(self, name: str, value: str) -> Field:
        known = experiment_keys().get(name)
        usual = self._defaults.get(name, "")
        return Field(
            name,
            value,
            f"{usual}  from [defaults]" if usual else "" if name == NAME else "goe's own default",
            known.about if known else "",
            known.words if known else (),
        )


def _written(text: str, name: str) -> dict[str, str] | None:
    """An experiment's values as they are shown, by dotted key; None if there is none of the name."""
    entry = next((each for each in entries_of(text) if each.name == name), None) if name else None
    return {spell_key(each.key): _shown(each) for each in entry.settings} if entry else None


def _amend(text: str, name: str, settings: Sequence[Setting], gone: Sequence[tuple[str, ...]]) -> str:
    place: queueedit.Place = ("experiment", name)
    return queueedit.set_values(queueedit.unset(text, place, gone), place, settings)


def _setting(key: str, value: str) -> Setting:
    return parse_setting(f"{key}={value}")


def _key(text: str) -> tuple[str, ...]:
    key = parse_key(text)
    if key is None:
        raise ConfigError([f"{text!r} is not a key, for example method.filter.k"])
    return key


def _shown(setting: Setting) -> str:
    """The value on one line, a string without quotes where these are not needed."""
    value = setting.value
    if isinstance(value, str) and _bare(setting, value):
        return value
    if "\n" in setting.toml:
        return tomlkit.item(value).as_string() if isinstance(value, list) else " ".join(setting.toml.split())
    return setting.toml


def _bare(setting: Setting, value: str) -> bool:
    """Whether the bare word would be written back as it stands in the file."""
    if not value or value != value.strip() or not value.isprintable():
        return False
    return parse_setting(f"{spell_key(setting.key)}={value}").toml == setting.toml


def _defaults(text: str) -> dict[str, str]:
    """What `[defaults]` set, as written, by dotted key."""
    pairs = [pair for pair in layout(text).pairs if not pair.inline and pair.path[0] == "defaults"]
    return {spell_key(pair.path[1:]): " ".join(text[pair.value : pair.end].split()) for pair in pairs}


def _by_field(text: str, name: str, found: Sequence[tuple[int, str]]) -> Findings:
    """The findings at the fields on whose lines they are."""
    lines = lines_of(text, name)
    findings: dict[str, list[str]] = {}
    for line, finding in found:
        findings.setdefault(lines.get(line, ""), []).append(finding)
    return {key: "; ".join(texts) for key, texts in findings.items()}


def free_name(text: str, name: str) -> str:
    """A name for a copy that no experiment has yet."""
    taken = {each.name for each in entries_of(text)}
    return next(found for number in range(2, len(taken) + 3) if (found := f"{name}-{number}") not in taken)
