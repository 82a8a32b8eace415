"""Every binding of the dashboard is pressed by a test: a new one has to be named here with the test that presses it."""

import ast
import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TypeAlias

from textual.binding import Binding
from textual.dom import DOMNode

import tui

HERE = Path(__file__).parent
Bound: TypeAlias = tuple[str, str]
"""A class and a key."""
TWINS = {"up": "k", "down": "j", "left": "h", "right": "l", "home": "g", "end": "G"}
TWINS |= {"pageup": "ctrl+b", "pagedown": "ctrl+f"}
WRITTEN_IN = {"ChooseScreen", "FilterLine", "FormScreen", "TableFileScreen"}
"""There letters are text."""
PRESSING = {"press", "follow", "leads"}
"""Methods that press what they are given."""
Source: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

PRESSED: dict[str, dict[str, str]] = {
    "AskScreen": {
        "test_keys::test_where_to_write_an_export_is_asked_and_left": "escape",
    },
    "ChartGrid": {
        "test_chart::test_keys_move_between_charts_and_open_one": (
            "G down end enter escape g h home j k l left right up"
        ),
        "test_chart::test_zoom_and_pan_by_keys_are_those_of_all_charts": "0 Z i shift+left shift+right z",
        "test_chart::test_zoom_and_pan_along_y_are_those_of_the_chart": "V shift+down shift+up v",
        "test_chart::test_outliers_out_of_view_by_a_key": "o",
        "test_charts_screen::test_the_look_is_remembered": "X s y",
    },
    "ChartsScreen": {
        "test_charts_screen::test_the_look_is_remembered": "b escape",
    },
    "CheckpointsPane": {
        "test_page_panes::test_a_checkpoint_is_deleted_after_a_question": "D delete",
        "test_keys::test_where_to_write_an_export_is_asked_and_left": "E",
        "test_page_panes::test_a_command_that_fails_says_why": "T",
        "test_page_panes::test_checkpoints_are_verified_on_demand": "V",
    },
    "ChoiceList": {
        "test_keys::test_a_few_choices": "G ctrl+b ctrl+f down end g home j k pagedown pageup up",
    },
    "ChooseScreen": {
        "test_keys::test_many_choices_are_narrowed_by_writing_while_other_keys_move": "ctrl+n ctrl+p down escape up",
        "test_keys::test_a_few_choices": "q",
    },
    "ColumnsScreen": {
        "test_keys::test_columns": "0 J K escape q shift+down shift+up space",
    },
    "ConfirmScreen": {
        "test_keys::test_a_question": "down h j k l left n right up",
        "test_app::test_stop_asks_first": "escape q y",
    },
    "DiffScreen": {
        "test_page_panes::test_a_diff_against_another_run": "a escape v",
        "test_keys::test_a_difference_is_left_by_its_key": "d",
    },
    "FilterLine": {
        "test_keys::test_the_line_of_the_filter_is_left_by_down": "down escape",
    },
    "FormScreen": {
        "test_keys::test_a_form": "ctrl+s down enter escape shift+tab tab up",
    },
    "GoeApp": {
        "test_keys::test_the_key_that_opens_a_page_leaves_it": "Q colon t u",
        "test_keys::test_help": "f1 question_mark",
        "test_app::test_leaving_kills_nothing": "q",
        "test_keys::test_refresh_reads_at_once": "r",
        "test_queue_screen::test_start_and_stop": "S",
    },
    "HistogramScreen": {
        "test_keys::test_the_results_of_a_run_one_after_the_other": "N h l left n right",
        "test_charts_screen::test_the_scores_of_a_run": "escape o",
    },
    "KeyTable": {
        "test_keys::test_a_table_wider_than_the_screen": "h l left right",
        "test_keys::test_a_table": "G ctrl+b ctrl+f down end g home j k pagedown pageup up",
    },
    "LogPane": {
        "test_page_panes::test_a_search_through_the_log": "N escape n slash",
        "test_page_panes::test_anywhere_in_a_long_log": "f w",
    },
    "LogView": {
        "test_logview::test_keys_and_wheel_move_by_rows_and_pages": (
            "ctrl+b ctrl+f down end g home j k pagedown pageup up"
        ),
        "test_logview::test_long_lines_scroll_sideways_or_are_wrapped": "h l left right",
        "test_page_panes::test_anywhere_in_a_long_log": "G",
    },
    "MessageScreen": {
        "test_keys::test_every_key_that_closes_a_message": "enter escape q",
    },
    "QueueLogScreen": {
        "test_keys::test_the_queues_log": "L escape",
    },
    "QueueScreen": {
        "test_queue_screen::test_a_key_writes_what_the_command_would": "D H J K U delete minus plus",
        "test_queue_many::test_what_was_found_is_marked_and_held_and_taken_out_together": (
            "asterisk escape greater_than_sign slash space"
        ),
        "test_queue_many::test_find_goes_from_match_to_match": "N n",
        "test_keys::test_a_form": "a",
        "test_keys::test_the_key_that_opens_a_page_leaves_it": "Q",
        "test_keys::test_the_queues_log": "L",
        "test_queue_many::test_the_cursor_stays_in_view_on_what_was_moved_to_an_end": "less_than_sign",
        "test_queue_screen::test_a_copy": "c",
        "test_queue_screen::test_a_form_left_changes_nothing": "i",
        "test_queue_screen::test_stopping_says_that_runs_go_on": "X",
        "test_queue_screen::test_the_editor_and_back_to_it": "e",
    },
    "ResultsScreen": {
        "test_results_screen::test_filter": "0 escape f slash",
        "test_results_screen::test_sorted_by_a_column_and_remembered": "O o",
        "test_results_screen::test_score_test_sets_checkpoint_and_protocol": "C T s",
        "test_results_screen::test_the_papers_layout_and_figures": "P b c",
        "test_results_screen::test_readonly_writes_no_file": "Y m",
        "test_keys::test_the_file_of_a_table": "E",
        "test_keys::test_the_key_that_opens_a_page_leaves_it": "t",
        "test_results_screen::test_one_block_at_a_time": "z",
    },
    "ResultsTable": {
        "test_keys::test_a_line_of_the_table_of_results": (
            "G ctrl+b ctrl+f down end enter g h home j k l left pagedown pageup right shift+tab tab up"
        ),
    },
    "RowList": {
        "test_keys::test_a_list": "G ctrl+b ctrl+f down end enter g home j k pagedown pageup up",
    },
    "RunControl": {
        "test_runs_list::test_one_run_is_retried_or_held_at_once_from_either_screen": "H R p",
        "test_keys::test_a_question": "x",
    },
    "RunScreen": {
        "test_keys::test_panes_alone_by_number_and_letter": (
            "0 1 2 3 4 5 6 7 c escape left_square_bracket m right_square_bracket shift+tab tab"
        ),
        "test_keys::test_the_results_of_a_run_one_after_the_other": "a",
        "test_page_panes::test_a_diff_against_another_run": "d",
        "test_page_panes::test_configuration_and_environment": "Y",
        "test_page_panes::test_the_log_is_searched_from_any_pane": "slash",
    },
    "RunTable": {
        "test_keys::test_folds": "h l left right",
    },
    "RunsScreen": {
        "test_runs_list::test_marks_are_signs_and_go_with_the_run": "O asterisk escape space",
        "test_runs_list::test_a_remembered_look_is_there_on_return": "o v",
        "test_runs_list::test_marked_runs_are_compared_and_two_of_them_diffed": "d equals_sign",
        "test_keys::test_columns": "c",
        "test_keys::test_the_line_of_the_filter_is_left_by_down": "slash",
    },
    "SearchLine": {
        "test_page_panes::test_a_search_through_the_log": "ctrl+r escape",
    },
    "SeedTable": {
        "test_keys::test_a_line_of_the_table_of_results": "enter",
    },
    "SeedsScreen": {
        "test_keys::test_a_line_of_the_table_of_results": "escape t",
    },
    "SeveralScreen": {
        "test_keys::test_several_choices": "a enter escape q space",
    },
    "SystemScreen": {
        "test_keys::test_the_key_that_opens_a_page_leaves_it": "escape u",
        "test_system_screen::test_leaving_ends_the_reading_and_o_sorts": "o",
        "test_system_screen::test_there_is_one_run_page": "i",
    },
    "TableFileScreen": {
        "test_keys::test_the_file_of_a_table": "ctrl+y down escape shift+tab tab up",
    },
    "TextScroll": {
        "test_keys::test_a_text": "G ctrl+b ctrl+f down end g home j k pagedown pageup up",
    },
}
"""By class: the test, as file::function, and the keys that it presses of those the class binds."""


def bindings() -> set[Bound]:
    """Of everything in the package that can have any, its own."""
    for module in pkgutil.walk_packages(tui.__path__, "tui."):
        importlib.import_module(module.name)
    ours = [kind for kind in kinds(DOMNode) if kind.__module__.startswith("tui.")]
    return {
        (kind.__name__, binding.key)
        for kind in ours
        for binding in Binding.make_bindings(vars(kind).get("BINDINGS", ()))
    }


def kinds(of: type[DOMNode]) -> Iterator[type[DOMNode]]:
    for kind in of.__subclasses__():
        yield kind
        yield from kinds(kind)


def entries() -> Iterator[tuple[Bound, str]]:
    for kind, tests in PRESSED.items():
        for test, keys in tests.items():
            yield from (((kind, key), test) for key in keys.split())


def source(test: str) -> Source | None:
    file, _, name = test.partition("::")
    return functions(HERE / f"{file}.py").get(name)


@cache
def functions(file: Path) -> dict[str, Source]:
    if not file.exists():
        return {}
    found = ast.parse(file.read_text(encoding="utf-8")).body
    return {one.name: one for one in found if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}


def pressed(test: Source) -> set[str]:
    """The keys that stand in calls which press them, and in what these may be given: loops and parameters."""
    places: list[ast.AST] = list(test.decorator_list)
    for node in ast.walk(test):
        if isinstance(node, ast.For):
            places.append(node.iter)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            places += node.args if node.func.attr in PRESSING else []
    return {key for place in places for key in keys_in(place)}


def keys_in(node: ast.AST) -> Iterable[str]:
    """`"a b"` are two keys, `*"ab"` too; what is waited for or written in `follow` is none."""
    match node:
        case ast.Starred(value=ast.Constant(value=str(letters))):
            return letters
        case ast.Constant(value=str(words)) if words[:1] not in {"?", "'"}:
            return words.split()
        case _:
            return [key for child in ast.iter_child_nodes(node) for key in keys_in(child)]


def listed(found: Iterable[Bound]) -> str:
    return "".join(f"\n  {kind}: {key}" for kind, key in sorted(found))


def test_every_binding_has_a_test_that_presses_it() -> None:
    missing = bindings() - {bound for bound, _ in entries()}
    assert not missing, f"write a test that presses these keys and name it in PRESSED:{listed(missing)}"


def test_who_moves_by_arrows_moves_by_letters_too() -> None:
    found = bindings()
    wanted = {(kind, TWINS[key]) for kind, key in found if key in TWINS and kind not in WRITTEN_IN}
    assert not wanted - found, f"bind these beside their arrows:{listed(wanted - found)}"


def test_what_is_no_binding_any_more_is_not_listed() -> None:
    stale = {bound for bound, _ in entries()} - bindings()
    assert not stale, f"take these keys out of PRESSED, nothing binds them:{listed(stale)}"


def test_the_tests_press_the_keys() -> None:
    sources = {test: source(test) for _, test in entries()}
    assert not [test for test, found in sources.items() if found is None], "PRESSED names tests that are not there"
    idle = {bound for bound, test in entries() if (found := sources[test]) and bound[1] not in pressed(found)}
    assert not idle, f"the tests that PRESSED names for these keys don't press them:{listed(idle)}"


def test_only_what_is_pressed_counts_as_pressed() -> None:
    text = """async def test(user):
    for key in ("a", "b c"):
        await user.press(key)
    await user.pilot.press("d", *"ef", *["g"] * 2)
    await user.follow("h", "?i j", "'k")
    await say("l")
"""
    (test,) = ast.parse(text).body
    assert isinstance(test, ast.AsyncFunctionDef)
    assert pressed(test) == set("abcdefgh")
