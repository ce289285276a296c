"""The page that says what works."""

from tests.clients.matrix import PAGE, page


def test_the_page_is_what_the_tests_run() -> None:
    assert PAGE.read_text() == page()
