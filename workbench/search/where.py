"""The filter language: `author = 'Li Bai' and year < 760`. Text in, a small tree out; standard library only.

    condition  = or ;  or = and { "or" and } ;  and = not { "and" not } ;  not = [ "not" ] ( "(" or ")" | test )
    test       = field ( op value | [ "not" ] "in" "(" value { "," value } ")" | [ "not" ] "like" text
                       | [ "not" ] "glob" text | [ "not" ] "between" value "and" value | "is" [ "not" ] "null" )
    op         = "=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">="
    field      = a name, or any text in double quotes ;  text = 'in single quotes', '' inside is one quote
    value      = text | number | true | false

Words of the language may be in any case. A comparison with a missing value is neither true nor false, as in SQL.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from workbench.core.errors import UsageError

Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Compare:
    """`field op value`; op is one of = != < <= > >=. `at`: where the test begins in the text."""

    field: str
    op: str
    value: Value
    at: int


@dataclass(frozen=True, slots=True)
class Among:
    """`field in (values)`."""

    field: str
    values: tuple[Value, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Matches:
    """`field like pattern` (% any, _ one character) or `field glob pattern` (* any, ? one, [abc])."""

    field: str
    pattern: str
    glob: bool
    at: int


@dataclass(frozen=True, slots=True)
class IsNull:
    field: str
    at: int


@dataclass(frozen=True, slots=True)
class Not:
    inner: Node


@dataclass(frozen=True, slots=True)
class Both:
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Either:
    left: Node
    right: Node


Node = Compare | Among | Matches | IsNull | Not | Both | Either

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?![\w.])
    | (?P<text>'(?:[^']|'')*')
    | (?P<quoted>"(?:[^"]|"")*")
    | (?P<word>[^\W0-9][\w.]*)
    | (?P<sign><=|>=|<>|!=|==|[=<>(),])
    )""",
    re.VERBOSE,
)
_DEEPEST = 50  # parentheses and `not` inside one another
_LONGEST_NUMBER = 400  # signs; Python itself refuses some thousands
_SIGNS = {"==": "=", "<>": "!="}


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # number, text, quoted, word, sign, end
    text: str
    at: int


def parse(text: str) -> Node:
    """The tree of a filter.

    Raises:
        UsageError: not in the language; the message shows the place with a caret.
    """
    return _Parser(text).whole()


def complaint(text: str, at: int, what: str, remedy: str | None = None) -> UsageError:
    """An error about the filter with a caret below the place it is about."""
    shown = text.replace("\n", " ").replace("\t", " ")
    width = sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in shown[:at])
    return WhereError(what, where="--where", remedy=remedy, shown=f"{shown}\n{' ' * width}^")


class WhereError(UsageError):
    """A filter that cannot be used. `shown`: the filter, and a caret below the place."""

    def __init__(
        self, message: str, *, where: str | None = None, remedy: str | None = None, shown: str = ""
    ) -> None:
        super().__init__(message, where=where, remedy=remedy)
        self.shown = shown

    def __str__(self) -> str:
        return f"{super().__str__()}\n  " + self.shown.replace("\n", "\n  ") if self.shown else super().__str__()

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self.message, self.where, self.remedy, self.shown)


def _rebuild(message: str, where: str | None, remedy: str | None, shown: str) -> WhereError:
    return WhereError(message, where=where, remedy=remedy, shown=shown)


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._split())
        self._place = 0
        self._depth = 0

    def whole(self) -> Node:
        if self._here.kind == "end":
            raise self._error(self._here, "the filter is empty", "Example: year < 1900")
        node = self._or()
        if self._here.kind != "end":
            raise self._error(self._here, f"{self._here.text!r} was not expected here", "Join tests with and, or")
        return node

    def _split(self) -> list[_Token]:
        tokens, place = [], 0
        while self._text[place:].strip():
            match = _TOKEN.match(self._text, place)
            if match is None:
                at = place + len(self._text[place:]) - len(self._text[place:].lstrip())
                raise complaint(self._text, at, *_unreadable(self._text[at:]))
            kind = str(match.lastgroup)
            tokens.append(_Token(kind, match[kind], match.start(kind)))
            place = match.end()
        return [*tokens, _Token("end", "", len(self._text.rstrip()))]

    # ── the grammar ──────────────────────────────────────────────────────────────────────────────
    def _or(self) -> Node:
        node = self._and()
        while self._take_word("or"):
            node = Either(node, self._and())
        return node

    def _and(self) -> Node:
        node = self._not()
        while self._take_word("and"):
            node = Both(node, self._not())
        return node

    def _not(self) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._error(self._here, f"more than {_DEEPEST} levels inside one another")
        if self._take_word("not"):
            node: Node = Not(self._not())
        elif self._take_sign("("):
            node = self._or()
            self._need(")")
        else:
            node = self._test()
        self._depth -= 1
        return node

    def _test(self) -> Node:
        token = self._here
        if token.kind not in ("word", "quoted"):
            what = "the filter ends too early" if token.kind == "end" else f"{token.text!r} is not the name of a field"
            raise self._error(token, what, "A test is: field op value, such as year < 1900")
        self._place += 1
        field = token.text[1:-1].replace('""', '"') if token.kind == "quoted" else token.text
        if self._take_word("is"):
            negated = self._take_word("not")
            if not self._take_word("null"):
                raise self._error(self._here, "is only goes with null or not null", "Use = to compare")
            return Not(IsNull(field, token.at)) if negated else IsNull(field, token.at)
        if self._here.kind == "sign" and self._here.text in ("=", "==", "!=", "<>", "<", "<=", ">", ">="):
            sign = self._next().text
            return Compare(field, _SIGNS.get(sign, sign), self._value(), token.at)
        negated = self._take_word("not")
        node = self._worded(field, token.at)
        return Not(node) if negated else node

    def _worded(self, field: str, at: int) -> Node:
        if self._take_word("in"):
            self._need("(")
            values = [self._value()]
            while self._take_sign(","):
                values.append(self._value())
            self._need(")")
            return Among(field, tuple(values), at)
        if self._take_word("like"):
            return Matches(field, self._pattern(), False, at)
        if self._take_word("glob"):
            return Matches(field, self._pattern(), True, at)
        if self._take_word("between"):
            low = self._value()
            if not self._take_word("and"):
                raise self._error(self._here, "between needs two values", "Write: year between 1800 and 1900")
            return Both(Compare(field, ">=", low, at), Compare(field, "<=", self._value(), at))
        what = f"after {field} a comparison is missing"
        raise self._error(self._here, what, "There are = != < <= > >=, in (…), like, glob, between, is null")

    def _value(self) -> Value:
        token = self._next()
        if token.kind == "text":
            return token.text[1:-1].replace("''", "'")
        if token.kind == "number":
            if len(token.text) > _LONGEST_NUMBER:
                raise self._error(token, "a number of so many digits is not taken", "Write it as 1e20")
            return int(token.text) if re.fullmatch(r"[+-]?[0-9]+", token.text) else float(token.text)
        if token.kind == "word" and token.text.lower() in ("true", "false"):
            return token.text.lower() == "true"
        what = "a value is missing" if token.kind == "end" else f"{token.text} is no value"
        raise self._error(token, what, "Values are 'text in single quotes', numbers, true and false")

    def _pattern(self) -> str:
        token = self._here
        value = self._value()
        if not isinstance(value, str):
            raise self._error(token, "a pattern is text in single quotes", "Write: place glob 'notes/*'")
        return value

    # ── tokens ───────────────────────────────────────────────────────────────────────────────────
    @property
    def _here(self) -> _Token:
        return self._tokens[min(self._place, len(self._tokens) - 1)]

    def _next(self) -> _Token:
        token = self._here
        self._place += 1
        return token

    def _take_word(self, word: str) -> bool:
        found = self._here.kind == "word" and self._here.text.lower() == word
        self._place += found
        return found

    def _take_sign(self, sign: str) -> bool:
        found = self._here.kind == "sign" and self._here.text == sign
        self._place += found
        return found

    def _need(self, sign: str) -> None:
        if not self._take_sign(sign):
            what = "the filter ends" if self._here.kind == "end" else f"there is {self._here.text!r}"
            raise self._error(self._here, f"{what} where {sign!r} is needed")

    def _error(self, token: _Token, what: str, remedy: str | None = None) -> UsageError:
        return complaint(self._text, token.at, what, remedy)


def _unreadable(rest: str) -> tuple[str, str]:
    if rest[0] in "'\"":
        return "the quote is not closed", f"End the text with {rest[0]}"
    return f"{rest[0]!r} does not belong to the language", "Text goes in single quotes: author = 'Li Bai'"
