import pytest

from pyimagesearch.utils.texttable import display_width, padded, printable

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        pytest.param("cats", 4, id="ASCII"),
        pytest.param("\u732b", 2, id="wide"),
        pytest.param("caf\u00e9", 4, id="composed"),
        pytest.param("cafe\u0301", 4, id="combining"),
        pytest.param(FAMILY, 2, id="family"),
        pytest.param("\u2764\ufe0f", 2, id="emoji by a variation selector"),
        pytest.param("\U0001f1eb\U0001f1f7", 2, id="flag"),
        pytest.param("\uff76\uff9e", 2, id="half-width"),
    ],
)
def test_a_text_takes_the_columns_that_a_terminal_gives_it(text, columns):
    assert printable(text) == text
    assert display_width(text) == columns
    assert padded(text, 10) == text + " " * (10 - columns)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("a\tb\n", r"a\tb\n", id="controls"),
        pytest.param("\x1b[2J", r"\x1b[2J", id="escape sequence"),
        pytest.param("cats\u200b", r"cats\u200b", id="zero-width space"),
        pytest.param("cats\u200d", r"cats\u200d", id="joiner of nothing"),
        pytest.param("\u202egpj", r"\u202egpj", id="direction"),
        pytest.param("\udce9", r"\udce9", id="byte that is not UTF-8"),
    ],
)
def test_what_would_break_a_line_or_is_invisible_is_escaped(text, shown):
    assert printable(text) == shown
    assert display_width(shown) == len(shown)


def test_a_joiner_that_shapes_a_word_stays():
    word = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"  # Persian
    assert printable(word) == word
