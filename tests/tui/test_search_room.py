import threading
from dataclasses import replace
from pathlib import Path

from textual.widgets import Input

from tests.tui.conftest import until
from workbench.tui.bridge import HitView, SearchAnswer, SearchQuery
from workbench.tui.livesearch import engine_query, matches
from workbench.tui.rooms.search import HitTable, HitText, StateLine
from workbench.tui.widgets.bars import KeyBar

SIZE = (160, 50)


async def at_search(app, pilot):
    app.action_room("search")
    await until(pilot, lambda: app.screen.ROOM == "search" and app.workbench.searches and app.screen.control)
    return app.workbench.searches[0]


def hits(app):
    return app.screen.query_one(HitTable)


async def test_results_appear_while_typing(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        search = await at_search(app, pilot)
        await pilot.press(*"gzip")
        await until(pilot, lambda: search.asked and search.asked[-1].text == "gzip" and hits(app).rows)
        assert "gzip.compress" in hits(app).plain()
        assert "静夜思" in hits(app).plain()
        state = app.screen.query_one(StateLine).plain()
        assert "3 hits in 7 ms (query 3.2, index 1.1)" in state
        await until(pilot, lambda: "the text after" in app.screen.query_one(HitText).plain())


async def test_quick_typing_asks_once(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        search = await at_search(app, pilot)
        field = app.screen.query_one("#query", Input)
        for end in range(1, 9):
            field.value = "compress"[:end]
        await until(pilot, lambda: hits(app).rows)
        assert [query.text for query in search.asked][-1] == "compress"
        assert len(search.asked) <= 2  # not one for every letter


async def test_wide_text_keeps_its_columns(make_app):
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_search(app, pilot)
        await pilot.press(*"x")
        await until(pilot, lambda: hits(app).rows)
        for y in range(hits(app).size.height):
            assert hits(app).render_line(y).cell_length == hits(app).size.width


async def test_filter_errors_are_shown_and_the_hits_stay(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await at_search(app, pilot)
        await pilot.press(*"gzip")
        await until(pilot, lambda: hits(app).rows)
        app.screen.query_one("#where", Input).value = "jahr = 3"
        await until(pilot, lambda: "unknown field" in app.screen.query_one(StateLine).plain())
        assert hits(app).rows


async def test_moving_shows_the_hit_in_full_and_copies_it(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await at_search(app, pilot)
        await pilot.press(*"gzip")
        await until(pilot, lambda: hits(app).rows)
        await pilot.press("enter", "j")
        await until(pilot, lambda: "床前明月光" in app.screen.query_one(HitText).plain())
        assert "author: Li Bai" in app.screen.query_one(HitText).plain()
        await pilot.press("ctrl+y")
        assert app.clipboard.startswith("床前明月光")


async def test_more_like_this_mode_and_emptying(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        search = await at_search(app, pilot)
        await pilot.press(*"gzip")
        await until(pilot, lambda: hits(app).rows)
        await pilot.press("ctrl+l")
        await until(pilot, lambda: search.asked[-1].like)
        assert search.asked[-1].like == hits(app).current.chunk_id
        await pilot.press("ctrl+t")
        assert search.asked[-1].mode == "hybrid"
        app.screen.query_one("#query", Input).value = ""
        await until(pilot, lambda: not hits(app).rows)
        app.screen.query_one("#query", Input).value = "nothing"
        await until(pilot, lambda: "Nothing matches" in hits(app).plain())


def test_more_like_this_asks_by_chunk_so_that_the_hit_itself_is_left_out():
    query = engine_query(SearchQuery("typed before", "year < 760", "hybrid", like="c1"))
    assert (query.like, query.text, query.where) == ("c1", "", "year < 760")


async def test_the_search_process_ends_with_the_screen(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        search = await at_search(app, pilot)
    assert search.closed


def test_words_are_marked_at_their_beginnings():
    text = "Compress a file: decompress, COMPRESSED, 压缩文件"
    marked = [text[a:b] for a, b in matches(text, "how to compress a 压缩 file")]
    assert marked == ["Compress", "file", "COMPRESSED", "压缩"]
    assert matches("anything", "a the of") == ()
    assert matches("a.c (x) [y", "a.c (x [") == matches("a.c (x) [y", "a.c (x [")  # no pattern is built from signs


async def test_keys_for_a_hit_are_offered_as_soon_as_there_is_one(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await at_search(app, pilot)
        assert "^o open" not in app.screen.query_one(KeyBar).plain()
        await pilot.press(*"gzip")
        await until(pilot, lambda: hits(app).rows)
        assert "^o open" in app.screen.query_one(KeyBar).plain()


async def test_a_long_problem_is_broken_not_cut(make_app):
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_search(app, pilot)
        app.screen.show_answer(SearchAnswer("x", problem="there is no field 'jahr'. The fields are: " + "field, " * 14))
        await pilot.pause()
        assert app.screen.query_one(StateLine).size.height == 2
        assert app.screen.query_one(StateLine).plain().count("field,") == 14
        app.screen.show_answer(SearchAnswer("x", (), 3.0, 2.0, 5.0))
        await pilot.pause()
        assert app.screen.query_one(StateLine).size.height == 1


async def test_the_hit_stays_in_place_when_its_neighbours_come(make_app):
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_search(app, pilot)
        text = app.screen.query_one(HitText)
        hit = HitView(1, 0.5, "c", "the title", "the hit itself " * 30)
        text.put(hit)
        first = text.plain().splitlines()[0]
        text.complete(replace(hit, before="what stands before " * 30, after="what follows"))
        assert text.plain().splitlines()[0] == first == "the title"
        assert "lines above" in text.border_subtitle
        text.scroll_lines(-50)
        assert text.plain().startswith("what stands before")


async def test_more_like_this_says_like_what(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await at_search(app, pilot)
        await pilot.press(*"gzip")
        await until(pilot, lambda: hits(app).rows)
        await pilot.press("ctrl+l")
        await until(pilot, lambda: "like “gzip.compress”" in app.screen.query_one(StateLine).plain())


async def test_a_collection_that_a_run_has_made_meanwhile_is_opened_at_the_next_visit(make_app):
    app = make_app()
    made, app.workbench.collections = app.workbench.collections(), list
    async with app.run_test(size=SIZE) as pilot:
        app.action_room("search")
        await until(pilot, lambda: "no collection yet" in app.screen.query_one(StateLine).plain())
        assert not app.workbench.searches
        app.action_room("start")
        app.workbench.collections = lambda: made
        search = await at_search(app, pilot)
        assert search.opened == Path("/data/books.collection")
        await pilot.press(*"gzip")
        await until(pilot, lambda: hits(app).rows)


async def test_it_does_not_say_that_there_is_none_before_it_has_looked(make_app):
    app = make_app()
    looking = threading.Event()
    app.workbench.collections = lambda: [looking.wait(60)][1:]
    async with app.run_test(size=SIZE) as pilot:
        app.action_room("search")
        await until(pilot, lambda: app.screen.ROOM == "search" and app.screen.query_one(StateLine).plain().strip())
        assert "reading" in app.screen.query_one(StateLine).plain()
        looking.set()
        await until(pilot, lambda: "no collection yet" in app.screen.query_one(StateLine).plain())


async def test_an_answer_to_text_that_was_deleted_is_not_shown(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        search = await at_search(app, pilot)
        search.held = []  # the model loads
        field = app.screen.query_one("#query", Input)
        field.value = "gzip"
        await until(pilot, lambda: len(search.held) == 1)
        number = app.screen._number
        field.value = ""
        await until(pilot, lambda: app.screen._number > number)
        search.held[0].start()
        search.held[0].join()
        await pilot.pause()
        assert not hits(app).rows and "Type a question" in hits(app).plain()
        field.value = "squeeze"
        await until(pilot, lambda: len(search.held) == 2)
        search.held[1].start()
        await until(pilot, lambda: hits(app).rows)  # what is asked now is shown


async def test_another_collection_begins_without_the_hits_of_the_one_before(make_app):
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        search = await at_search(app, pilot)
        await pilot.press(*"gzip")
        await until(pilot, lambda: hits(app).rows)
        await pilot.press("ctrl+l")
        await until(pilot, lambda: search.asked[-1].like == "c0")
        search.held = []  # the other model loads
        app.search_in(Path("/data/poems.collection"))
        await pilot.pause()
        assert "poems" in app.screen.query_one(StateLine).plain() and search.opened.name == "poems.collection"
        assert not hits(app).rows and app.screen.query_one(HitText).hit is None
        before = len(search.asked)
        await pilot.press("ctrl+l")
        await pilot.pause()
        assert [query.like for query in search.asked[before - 1:]] == [""]  # the text typed, and no chunk of the other
        search.held[-1].start()
        await until(pilot, lambda: hits(app).rows)


async def test_why_a_collection_cannot_be_opened_is_shown_in_full(make_app):
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        search = await at_search(app, pilot)
        search.broken = "the model of this collection is not on this machine: " + "BAAI/bge-small-en " * 4
        app.screen.say()
        await pilot.pause()
        line = app.screen.query_one(StateLine)
        assert line.size.height == 2 and line.plain().count("BAAI/bge-small-en") == 4
        assert {role for built in line._lines for _, role, _ in built.parts} == {"bad"}
