"""The quirks of the PTB tokeniser, each with what the Java program prints, and hostile input.

tests/parity/test_ptb.py checks the same table against the Java program itself.
"""

from __future__ import annotations

import random
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.text import ptb

# What it shows, the text, the tokens of pycocoevalcap 1.2 (Stanford CoreNLP 3.4.1) on Java 17.
QUIRKS: list[tuple[str, str, str]] = [
    ("nothing", "", ""),
    ("nothing", "...", ""),
    ("nothing", "\" ' , ; : ! ? - -- .", ""),
    ("nothing", "🙂", ""),
    ("brackets", "(a) [b] {c}", "-lrb- a -rrb- -lsb- b -rsb- -lcb- c -rcb-"),
    ("brackets", "a dog (brown)", "a dog -lrb- brown -rrb-"),
    ("already tokenised brackets", "-LRB- a -RRB-", "-lrb- a -rrb-"),
    (
        "contractions",
        "I cannot go, gonna wanna gotta gimme lemme",
        "i can not go gon na wan na got ta gim me lem me",
    ),
    (
        "contractions",
        "don't DON'T can't won't isn't ain't",
        "do n't do n't ca n't wo n't is n't ai n't",
    ),
    (
        "contractions",
        "it's I'm he'd we'll they're I've DON'T'S",
        "it 's i 'm he 'd we 'll they 're i 've do n't 's",
    ),
    (
        "contractions",
        "'tis 'twas 'til 'till 'cause 'em 'bout",
        "'t is 't was 'til 'till 'cause 'em bout",
    ),
    (
        "contractions",
        "o'clock O'Brien ma'am Ka'anapali xi'an ne'er e'er li'l ev'ry",
        "o'clock o'brien ma'am ka'anapali xi'an ne'er e'er li'l ev'ry",
    ),
    ("contractions", "y'all Y'know d'you l'eau c'est", "y' all y' know d'you l'eau c'est"),
    (
        "contractions",
        "rock 'n' roll, rock 'n roll, rock'n'roll",
        "rock 'n' roll rock 'n roll rock 'n' roll",
    ),
    ("contractions", "rock n' roll, livin' nothin'", "rock n roll livin nothin"),
    ("contractions", "Dunkin' Donuts, ol' man", "dunkin' donuts ol' man"),
    ("contractions", "graffiti'ed Qur'an t'was T'was", "graffiti'ed qur an t was t'was"),
    ("possessives", "John's James' the dogs' bowls", "john 's james the dogs bowls"),
    ("possessives", "McDonald's 1990's CD's", "mcdonald 's 1990 's cd 's"),
    ("possessives", "d's l'll", "d 's l 'll"),
    ("curly quotes", "''s ''90s", "s 90s"),
    (
        "curly quotes",
        "“hello” ‘hello’ don’t it’s o’clock ’em ’small",
        "hello hello do n't it 's o’clock ’em 's mall",
    ),
    ("curly quotes", "‘“a”’ “ ‘a’ ”", "``` a ''' a"),
    ("curly quotes", "«hello» ‹hello› „hello“ ‚hello‘", "hello hello „ hello ‚ hello"),
    ("curly quotes", "it`s don`t ``quoted''", "it s do n`t quoted"),
    ("dashes", "a - b -- c --- d – e — f a–b a—b a--b", "a b c d e f a b a b a b"),
    ("dashes", "x ----- y", "x ----- y"),
    ("dashes", "well-known state-of-the-art x- -x", "well-known state-of-the-art x x"),
    ("dashes", "7-inch 1,000-mile 3.5-inch co-op's", "7-inch 1,000-mile 3.5-inch co-op 's"),
    ("ellipsis", "wait... wait.. wait . . . so…", "wait wait wait so"),
    ("ellipsis", "...5 ....5", "5 5"),
    (
        "ampersands",
        "AT&T M&Ms m&ms Q&A r&b black&white R & D",
        "at&t m&m s m & ms q&a r & b black & white r & d",
    ),
    (
        "ampersands",
        "AT&amp;T a &amp; b &lt;b&gt; &quot;a&quot; &nbsp; &#39; &apos;s",
        "at&t a & b < b > a &#39; 's",
    ),
    ("ampersands", "A+B a+b C++ c# F# A++", "a+b a + b c++ c# f# a + +"),
    (
        "abbreviations",
        "Mr. Smith, Mrs. Jones and Dr. No of St. Mary's vs. Gov. Lee",
        "mr. smith mrs. jones and dr. no of st. mary 's vs. gov. lee",
    ),
    ("abbreviations", "etc. and so on, Inc. Ltd. Corp. Co.", "etc. and so on inc. ltd. corp. co."),
    (
        "abbreviations",
        "KY. Ky. La. la. Calif. Thurs. Messrs. Mass. mass. Jan. 5",
        "ky. ky. la. la calif. thurs. messrs. mass. mass jan. 5",
    ),
    ("abbreviations", "Mr.Smith Co.x Co.X-y etc.x", "mr.smith co. x co.x-y etc. x"),
    ("abbreviations", "No. 5 no. five fig. 3 pp. 5 No.5", "no. 5 no five fig. 3 pp. 5 no. 5"),
    (
        "abbreviations",
        "U.S. U.S U.S.A. U.S.-based anti-U.S. p.m. 5 a.m. e.g. i.e. Ph.D.",
        "u.s. u.s u.s.a. u.s.-based anti-u.s. p.m. 5 a.m. e.g. i.e. ph.d.",
    ),
    ("abbreviations", "J.R.R. Tolkien, J. Smith", "j.r.r. tolkien j. smith"),
    ("abbreviations", "plan B. Then plan C. then", "plan b then plan c. then"),
    ("abbreviations", "the letter S.", "the letter s."),
    ("abbreviations", "words., words.; words.: words.", "words. words. words. words"),
    ("abbreviations", "a-b., Mr., U.S., 5.,", "a-b. mr. u.s. 5."),
    (
        "numbers",
        "3.14 .5 1,000 1,000,000.50 -5 +9 50% 5.5%",
        "3.14 .5 1,000 1,000,000.50 -5 +9 50 % 5.5 %",
    ),
    (
        "numbers",
        "0.5m 2.5 m 100m 1st 80s '80s '80 ’90s '9",
        "0.5 m 2.5 m 100m 1st 80s '80s '80 ’90s 9",
    ),
    (
        "numbers",
        "1/2 1 1/2 11 1/2 ½ 1½ 3/4-inch ⅓",
        "1/2 1\u00a01/2 11\u00a01/2 1/2 1 1/2 3/4-inch 1/3",
    ),
    ("numbers", "1-1/2 1⁄2", "1-1/2 1⁄2"),
    (
        "numbers",
        "555-1234 (555) 123-4567 1-800-555-1234",
        "555-1234 -lrb-555-rrb-\u00a0123-4567 1-800-555-1234",
    ),
    (
        "numbers",
        "+44 20 1234 5678 and 555 123 4567",
        "+44\u00a020\u00a01234\u00a05678 and 555\u00a0123\u00a04567",
    ),
    (
        "numbers",
        "12/25/2010 25-12-2010 12/11-10 2010/12/25",
        "12/25/2010 25-12-2010 12/11-10 2010/12/25",
    ),
    ("numbers", "5:30 5:30pm 8:00-9:00 10am", "5:30 5:30 pm 8:00 -9:00 10am"),
    ("numbers", "4x4 1-2 4 - 5 5' 10\"", "4x4 1-2 4 5 5 10"),
    (
        "money",
        "$5 $5.00 US$5 A$5 5$ £5 €5 ¥5 5¢ $2.6bn",
        "$ 5 $ 5.00 us$ 5 a$ 5 5 $ # 5 $ 5 ¥ 5 5 cents $ 2.6 bn",
    ),
    ("money", "$$d Gr$$d", "$ $ d gr $ $ d"),
    ("signs", "what?! no!! really? yes!", "what ?! no !! really yes"),
    (
        "signs",
        "#1 #tag #tag2023 @ @user @user_1 @1 me@",
        "# 1 #tag #tag 2023 @ @user @user_1 @ 1 me @",
    ),
    ("signs", "® © ™ ° × ± m² x³ §5 → ★ •", "® © ™ ° × ± m ² x ³ § 5 → ★ •"),
    ("signs", "* ** *** ### ___ _a_ \\*", "* ** *** ### ___ _ a _ \\*"),
    ("words with signs", "and/or a/b/c a\\/b F/A-18 50/50", "and/or a/b/c a\\/b f/a -18 50/50"),
    ("words with signs", "snake_case a_b_c a__b", "snake_case a_b_c a __ b"),
    ("words with signs", "end.Next Node.js .NET a!b", "end.next node.js net a!b"),
    ("words with signs", "a|b a~b a^b a=b <5 >5 <<a>>", "a | b a ~ b a ^ b a = b < 5 > 5 << a >>"),
    ("words with signs", "photo.jpg 1.jpg 1.5.jpg 1.foo", "photo.jpg 1.jpg 1.5.jpg 1 foo"),
    (
        "faces",
        ":) :-) ;) :D :( =) :-P >:( :'( :] city:)",
        ":-rrb- :--rrb- ;-rrb- :d :-lrb- =-rrb- :-p >:-lrb- :'-lrb- :] city :-rrb-",
    ),
    ("faces", "^_^ >_< (^_^) (-_-) <3 8-)", "^_^ >_< -lrb-^_^-rrb- -lrb--_--rrb- < 3 8 -rrb-"),
    ("letters", "café naïve façade El Niño ÜBER Straße", "café naïve façade el niño über straße"),
    ("letters", "中文字 日本語 a中b 한국어 русский", "中文字 日本語 a中b 한국어 русский"),
    ("letters", "ﬁne a😀b a\u200bb soft\u00adhyphen", "ﬁne a b a b softhyphen"),
    (
        "net",
        "http://www.example.com/foo?bar=1 https://a.b/c. HTTP://A.B",
        "http://www.example.com/foo?bar=1 https://a.b/c http://a.b",
    ),
    (
        "net",
        "www.foo.com, foo.com 350.org www.a-b.org/c foo.com/bar/baz",
        "www.foo.com foo.com 350 org www.a-b.org / c foo.com/bar/baz",
    ),
    ("net", "a.b@c.com, <a@b.com>", "a.b@c.com, <a@b.com>"),
    (
        "net",
        '<b>bold</b> <a href="x y">z</a> <br /> <!-- note --> a < b',
        '<b> bold </b> <a\u00a0href="x\u00a0y"> z </a> <br\u00a0/> <!--\u00a0note\u00a0--> a < b',
    ),
]


def as_line(text: str) -> str:
    return " ".join(ptb.tokens(text))


@pytest.mark.parametrize(("what", "text", "expected"), QUIRKS)
def test_quirk(what: str, text: str, expected: str) -> None:
    assert as_line(text) == expected, what


@pytest.mark.parametrize("name", [pattern[0] for pattern in ptb.PATTERNS])
def test_every_rule_decides_a_quirk(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def without(rules: tuple[ptb.Rule, ...]) -> tuple[ptb.Rule, ...]:
        return tuple(rule for rule in rules if rule.name != name)

    fewer = {first: without(rules) for first, rules in ptb.RULES_BY_FIRST.items()}
    monkeypatch.setattr(ptb, "RULES_BY_FIRST", fewer)
    monkeypatch.setattr(ptb, "RULES_FOR_LETTERS", without(ptb.RULES_FOR_LETTERS))
    assert any(as_line(text) != expected for _, text, expected in QUIRKS)


@pytest.mark.parametrize("abbreviation", sorted(ptb.DOTTED - {r"ph\.d", r"ed\.d"}))
def test_abbreviation_keeps_its_full_stop_on_either_path(abbreviation: str) -> None:
    word = abbreviation.capitalize()
    assert ptb.tokens(f"the {word}.") == ["the", f"{abbreviation}."]
    assert ptb.tokens(f"(the {word}. x") == ["-lrb-", "the", f"{abbreviation}.", "x"]


@pytest.mark.parametrize("word", sorted(ptb.SPLIT_WORDS))
def test_split_words_are_split_on_either_path(word: str) -> None:
    assert len(ptb.tokens(f"a {word}")) == len(ptb.tokens(f"a {word} #")) - 1 == 3


words = st.text(alphabet="abcIST", min_size=1, max_size=5)
plain_words = words | st.sampled_from([*ptb.SPLIT_WORDS, "etc", "Mr", "Ky", "no", "x", "A", "The"])


@given(st.lists(plain_words, min_size=1), st.sampled_from(["", ".", " .", "!", "?", ". ", "\n"]))
def test_short_cut_for_plain_text_changes_nothing(parts: list[str], end: str) -> None:
    for glue in (" ", ", ", "  "):
        text = glue.join(parts) + end
        with pytest.MonkeyPatch.context() as patch:
            expected = _without_short_cuts(text, patch)
        assert ptb.tokens(text) == expected


@given(st.text(alphabet="aBcAn'’.,;:!?()\" -@&/1$_\n<"))
def test_short_cut_for_plain_words_changes_nothing(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        expected = _without_short_cuts(text, patch)
    assert ptb.tokens(text) == expected


def _without_short_cuts(text: str, patch: pytest.MonkeyPatch) -> list[str]:
    never = re.compile(r"(?!)")
    patch.setattr(ptb, "PLAIN", never)
    patch.setattr(ptb, "PLAIN_WORD", never)
    return ptb.tokens(text)


@pytest.mark.parametrize(
    "line_break", [*"\r\n\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029", "\r\n"], ids=ascii
)
def test_line_breaks_are_spaces(line_break: str) -> None:
    assert ptb.tokens(f"a dog{line_break}on a mat.{line_break}") == ["a", "dog", "on", "a", "mat"]
    assert ptb.tokens(f"é{line_break}😀 b") == ["é", "b"]
    assert ptb.tokens(line_break) == []


@given(st.text(alphabet=st.characters(codec=None)))
def test_any_text_gives_lower_case_tokens(text: str) -> None:
    for token in ptb.tokens(text):
        assert token
        assert token not in ptb.PUNCTUATIONS
        assert not set(token) & set(" \t\r\n\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")


def test_odd_characters() -> None:
    assert ptb.tokens("a\ud800b \udfff \x00c\x00 \x7f \ue000 \U0010ffff") == ["a", "b", "c"]


HOSTILE = ["a", "1", ".", ",", "-", "a-", "a.", "1.", "1a.", "a,", "a.-", "a/", "a&", "A&", "a'"]
HOSTILE += ["'", "’", '"', "(", "<", "<a ", "<a", "<!", "</a", "@", "a@", "@a", "http://", "http"]
HOSTILE += ["https://.", "www.", "www.a.", "a.com/", "1 ", "12 ", "123-", "12 1/", "a\n", " ", "\t"]
HOSTILE += [
    "no. ",
    "B. ",
    "a.   ",
    "&amp;",
    "&",
    "$",
    "_",
    "a_",
    "=",
    "é",
    "é.",
    "é-",
    "\u0301",
    "😀",
]
HOSTILE += [
    "can't",
    "cannot",
    "o'",
    "n't",
    "nn",
    "x'a",
    "A$",
    ":",
    ":-",
    "(555) ",
    "\\",
    "\\*",
    "+1 ",
]
HOSTILE += ['<a b="', "<a b='c' ", "1-1.", "a.b,", "a!", "1,1", ".1", "1/1", "a1.a", "[", "‘", "--"]


@pytest.mark.parametrize("text", ["word" + " " * 60_000 + "1", "<a" + " " * 60_000 + "b"])
def test_a_long_gap_takes_no_quadratic_time(text: str) -> None:
    assert seconds(text) < 1


def seconds(text: str) -> float:
    start = time.process_time()
    ptb.tokens(text)
    return time.process_time() - start


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_long_text_takes_linear_time(piece: str) -> None:
    """60 kB take at most 0.9 s here; a rule that is quadratic takes minutes."""
    assert seconds("(" + piece * (60_000 // len(piece)) + "x\n") < 6


def test_a_megabyte_of_anything() -> None:
    generator = random.Random(3)
    text = "".join(generator.choices([*HOSTILE, " ", " a dog ", "the "], k=400_000))
    assert len(text) > 1_000_000
    assert seconds(text) < 60
