"""docs/cli.md says what the program says."""

from dev.docs import cli_page


def test_the_page_has_every_command_as_it_is() -> None:
    assert cli_page.PAGE.read_text(encoding="utf-8") == cli_page.page(), "run `python -m dev.docs.cli_page`"
