"""A table written out: one form a file, all of the same cells."""

from typing import Literal, TypeAlias, get_args

from goe.core.forms.html import to_html
from goe.core.forms.latex import to_latex
from goe.core.forms.markdown import to_markdown
from goe.core.forms.records import to_csv, to_json
from goe.core.forms.text import to_text
from goe.core.table import Table

Format: TypeAlias = Literal["text", "md", "csv", "json", "latex", "html"]
FORMATS: tuple[str, ...] = get_args(Format)
RECORDS = frozenset({"csv", "json"})
"""Forms for programs: a record a cell."""


def render(table: Table, form: Format, *, colour: bool = False) -> str:
    """`table` as `form`. `colour`: the text form marks with a terminal's bold and underline, else with `*` and `_`."""
    match form:
        case "text":
            return to_text(table, colour=colour)
        case "md":
            return to_markdown(table)
        case "latex":
            return to_latex(table)
        case "html":
            return to_html(table)
        case "csv":
            return to_csv(table)
        case "json":
            return to_json(table)
