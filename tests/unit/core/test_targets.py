"""What entries of `notify` mean, and what is said of wrong ones."""

import pytest

from goe.core.targets import Target, TargetError, parse_target


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("https://hooks.slack.com/services/T0/B0/x", Target("slack", "https://hooks.slack.com/services/T0/B0/x")),
        ("https://discord.com/api/webhooks/1/x", Target("discord", "https://discord.com/api/webhooks/1/x")),
        ("https://ntfy.sh/oe", Target("ntfy", "https://ntfy.sh/oe")),
        ("ntfy://ntfy.example.org/oe", Target("ntfy", "https://ntfy.example.org/oe")),
        ("ntfy+http://localhost:8080/oe", Target("ntfy", "http://localhost:8080/oe")),
        ("ntfy+https://h/oe?auth=x", Target("ntfy", "https://h/oe?auth=x")),
        ("ntfy://me:p%40ss@h/oe", Target("ntfy", "https://h/oe", ("me", "p@ss"))),
        ("HTTP://example.org/hook#here", Target("webhook", "http://example.org/hook")),
        ("http://[::1]:80/hook", Target("webhook", "http://[::1]:80/hook")),
        ("mail -s 'goe: done' me", Target("command", argv=("mail", "-s", "goe: done", "me"))),
    ],
)
def test_an_entry_is_a_url_or_a_command(entry: str, expected: Target) -> None:
    assert parse_target(entry) == expected


def test_labels_show_no_secrets() -> None:
    assert parse_target("https://me:pw@example.org/secret").label == "webhook example.org"
    assert parse_target("/opt/bin/tell --token secret").label == "command tell"


@pytest.mark.parametrize(
    ("entry", "finding"),
    [
        ("htps://example.org/x", '"htps://" begins no address that can be told (did you mean "https://"?)'),
        ("mailto:me@example.org", '"mailto:" begins no address'),
        ("ftp://example.org/x", '"ftp://" begins no address'),
        (
            "hooks.slack.com/services/secret",
            '"hooks.slack.com…" has no scheme (did you mean "https://hooks.slack.com…"?)',
        ),
        ("https://hooks.slack.com", "hooks.slack.com: not a webhook's address"),
        ("https://discord.com/channels/1", "discord.com: not a webhook's address"),
        ("https://ntfy.sh/", "ntfy.sh: ntfy needs a topic: ntfy://ntfy.sh/my-topic"),
        ("https:///secret", "https: not a URL: it names no host"),
        ("https://example.org:port/secret", "https: not a URL: Port could not be cast"),
        ("https://example.org/a secret", "https: not a URL: white space in it"),
        ("", "an empty command"),
        ("  ", "an empty command"),
        ("tell 'secret", "a command can't be taken apart (No closing quotation); close its quotes"),
    ],
)
def test_a_wrong_entry_is_named_without_its_secrets(entry: str, finding: str) -> None:
    with pytest.raises(TargetError) as caught:
        parse_target(entry)
    assert str(caught.value).startswith(finding)
    assert "secret" not in str(caught.value)
