"""Pairs made from raw text."""

import random

from training.extra import cloze, docstring_pairs, paraphrases, reworded, sentences, synonyms, word_drop

PASSAGE = (
    "The kidney filters blood all day long. It returns most of the water to the body. "
    "What is left over becomes urine in the end. A healthy adult has two kidneys."
)


def test_a_cloze_sentence_is_taken_out_or_kept_as_asked():
    taken, rest = cloze(PASSAGE, random.Random(0), zh=False, keep=0.0)
    assert taken in PASSAGE and taken not in rest
    taken, rest = cloze(PASSAGE, random.Random(0), zh=False, keep=1.0)
    assert taken in rest
    assert cloze("Too short. Really.", random.Random(0), zh=False, keep=0.0) is None


def test_chinese_sentences_end_at_their_own_marks():
    assert sentences("你好。世界！好吗？", zh=True) == ["你好。", "世界！", "好吗？"]


def test_paraphrases_share_a_translation():
    rows = [("Hello there.", "你好", "en-zh"), ("你好", "Good day.", "zh-en"), ("Alone.", "独", "en-zh")]
    made = paraphrases(rows, 10, random.Random(0))
    assert [{p.query, p.positive} for p in made] == [{"Hello there.", "Good day."}]


def test_word_drop_leaves_two_different_copies():
    for pair in word_drop([PASSAGE] * 5, random.Random(0)):
        assert pair.query != pair.positive
        assert set(pair.query.split()) <= set(PASSAGE.split())


def test_synonyms_come_from_words_named_together():
    same = synonyms(["tag, label, mark (verb)", "label, sticker", "yottabit, Yb"])
    assert same["label"] == ["mark", "sticker"]  # "tag" is too short to be told from an abbreviation
    assert "yottabit" not in same
    assert "sticker" in " ".join(reworded("label", same, random.Random(i)) for i in range(80))


def test_docstring_pairs_read_past_the_signature():
    passage = (
        "shutil.rmtree\nrmtree(path, ignore_errors=False)\n\nRecursively delete a directory tree.\n\n"
        "If ignore_errors is set, errors are ignored. Otherwise they are raised by the operating system."
    )
    made = list(docstring_pairs([("shutil.rmtree", passage)], {}, random.Random(0)))
    assert made[0].query == "shutil rmtree" and made[0].positive == passage
    summary = next(p for p in made if p.source == "stdlib-summary")
    words = ["how", "to", "do", "I", "python", "recursively", "delete", "a", "directory", "tree"]
    assert set(summary.query.split()) <= set(words) and summary.positive == passage
    bare = [p for p in made if p.source == "stdlib"]
    without = next(p for p in bare if p.query.endswith("recursively delete a directory tree"))
    assert without.positive.startswith("shutil.rmtree If ignore_errors")
