from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workbench.search.snippets import LENGTH, Snippets, Stems


def stem(text: str) -> list[str]:
    return [word.lower().removesuffix("s") for word in text.split()]


def marked(text: str, words: list[str], **weights: float) -> tuple[str, list[str]]:
    snippet = Snippets(words, weights, Stems(stem)).of(text)
    return snippet.text, [snippet.text[a:b] for a, b in snippet.marks]


def test_the_sentence_with_the_words_is_shown_and_they_are_marked():
    filler = "Nothing of interest is said here, for a very long while, in words that do not matter. " * 6
    text, marks = marked(f"{filler}Whales are hunted by Ahab. {filler}", ["whale", "ahab"])
    assert "Whales are hunted by Ahab." in text
    assert marks == ["Whales", "Ahab"]
    assert len(text) <= LENGTH


def test_the_telling_word_wins_over_a_common_one():
    filler = "x " * 200
    text, _ = marked(f"The sea. {filler}. The harpoon.", ["sea", "harpoon"], sea=0.1, harpoon=5.0)
    assert "harpoon" in text


def test_chinese_is_marked_by_pairs_that_run_together():
    assert marked("床前明月光，疑是地上霜。", ["明月", "月光"]) == ("床前明月光，疑是地上霜。", ["明月光"])


def test_without_a_match_the_beginning_is_shown():
    text, marks = marked("First sentence. Second one.", ["nowhere"])
    assert text.startswith("First sentence.") and marks == []


def test_a_long_sentence_is_cut_around_its_match():
    text, marks = marked("word " * 300 + "needle " + "word " * 300, ["needle"])
    assert marks == ["needle"] and len(text) <= LENGTH


@given(st.text(max_size=900), st.lists(st.text(min_size=1, max_size=4), max_size=4))
def test_marks_lie_inside_the_snippet_and_do_not_overlap(text, words):
    snippet = Snippets(words, {}, Stems(stem)).of(text)
    assert snippet.text in text
    ends = [0]
    for begin, end in snippet.marks:
        assert ends[-1] <= begin < end <= len(snippet.text)
        ends.append(end)


def test_words_are_learnt_once_and_all_their_forms_are_marked():
    asked = []

    def counted(text: str) -> list[str]:
        asked.append(text)
        return stem(text)

    stems = Stems(counted)
    assert Snippets(["whale"], {}, stems).of("A whale, two Whales.").marks
    snippet = Snippets(["whale"], {}, stems).of("Two Whales, a whale.")
    assert [snippet.text[a:b] for a, b in snippet.marks] == ["Whales", "whale"]
    assert len(asked) == 2 and set(asked[1].split()) == {"a", "Two"}
