"""pycocoevalcap 1.2's PTB tokens without Java: Stanford CoreNLP 3.4.1, lower case, no punctuation.

Written from what the Java program prints, not from its grammar. The longest rule wins.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from typing import NamedTuple

# pycocoevalcap's own list. Its brackets are upper case while the tokens are lower case, so
# "-lrb-" and the like stay; that quirk is kept.
PUNCTUATIONS = frozenset("'' ' `` ` -LRB- -RRB- -LCB- -RCB- . ? ! , : - -- ... ;".split())


def tokens(text: str) -> list[str]:
    """The tokens of one text, lower case; `1 1/2`, phone numbers and `<a b>` hold U+00A0 inside.

    Any line break counts as a space. Never raises. Source: PTBTokenizer of pycocoevalcap 1.2 given
    this text alone; given a file, it also lets the next line decide about "plan B." at a line end.
    """
    if PLAIN.fullmatch(text):
        words = text.lower().translate(PLAIN_PUNCTUATION).split()
        ends_in_abbreviation = "." in text and (words[-1] in DOTTED or len(words[-1]) == 1)
        if not ends_in_abbreviation and SPLIT_WORDS.isdisjoint(words):
            return words
    if not text.isascii():
        text = text.translate(WINDOWS_1252)
    return [token for token in _all_tokens(UNKNOWN.sub(" ", text)) if token not in PUNCTUATIONS]


def _all_tokens(text: str) -> list[str]:
    found: list[str] = []
    position = 0
    while start := TOKEN_START.search(text, position):
        position = start.start()
        if word := PLAIN_WORD.match(text, position):
            lower = word[1].lower()
            if lower not in SPLIT_WORDS:
                found.append(lower)
                position = word.end()
                continue
        first = text[position]
        token, rule, longest = first, None, position
        for candidate in RULES_BY_FIRST.get(first, RULES_FOR_LETTERS):
            match = candidate.match(text, position)
            if match and match.end() > longest:
                token, rule, longest = match[match.lastindex or 0], candidate, match.end()
        position += len(token)
        lower = token.lower()
        found.append(rule.rewrite(lower) if rule else _spelled(lower))
    return found


class Rule(NamedTuple):
    """What is matched decides which rule wins; the token is the group if the pattern has one."""

    name: str
    match: Callable[[str, int], re.Match[str] | None]
    rewrite: Callable[[str], str]


def _same(token: str) -> str:
    return token


def _spelled(token: str) -> str:
    return SPELLED.get(token, token)


def _straight(token: str) -> str:
    return token.replace("’", "'").replace("&apos;", "'")


def _unbreakable(token: str) -> str:
    """A token with a space inside keeps it, as a no-break space."""
    return re.sub(r"\s", "\u00a0", token)


def _bracketed(token: str) -> str:
    return token.replace("(", "-lrb-").replace(")", "-rrb-")


def _dash(token: str) -> str:
    return token if token.startswith("-----") else "--"


def _quotes(token: str) -> str:
    return token.translate(STRAIGHT_QUOTES)


def _table(pairs: str) -> dict[str, str]:
    """`a b c d` as {"a": "b", "c": "d"}."""
    words = pairs.split()
    return dict(zip(words[::2], words[1::2], strict=True))


def _any_of(words: str) -> str:
    return "|".join(sorted(words.split(), key=len, reverse=True))


def _in_any_case(words: str) -> str:
    return f"(?i:{_any_of(words)})"


# Characters. Whatever the Java program does not know (emoji, much of Unicode after 6.0) it drops,
# and it separates what stands around it.
MARKS = "\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u064b-\u0670\u06d6-\u06ed\u0711\u0730-\u074a"
MARKS += "\u0900-\u0eff"
QUOTES = "‘’‛‹›“”«»"
DASHES = "–—―"
FRACTIONS = "¼½¾⅓⅔⅛-⅞"
NUMERALS = "²³¹⁰⁴-⁹₀-₉①-⒛⓪-⓿❶-➓"
SYMBOLS = "¡-©¬®-±´¶-¸¿×÷‖‗‚„‟†-‣‰-‸※‾-⁂⁄⁺-⁽⁾₊-₎₠₤€"
SYMBOLS += "℀-℆℈℉℔№-℘℞-℣℥℧℩℮℺℻⅀-⅄⅊-⅍⅏←-⑊⒜-ⓩ─-❵➔-⯿、。〒・！-／：-＠［-｀｛-･￠-￦…"
JOINING_HYPHENS = "\u2010\u2011"
NOT_KNOWN = "Ⅰ-ↈ〇〡-〩〸-〺㈠-㉉㉑-㉟㊀-㊉㊱-㊿"
OTHER = QUOTES + DASHES + FRACTIONS + NUMERALS + SYMBOLS + JOINING_HYPHENS
UNKNOWN = re.compile(
    rf"[^\w\s!-~{MARKS}{OTHER}]+|[\U00010000-\U0010ffff]+|(?<!\w)[\u2010\u2011]|[{NOT_KNOWN}]+"
)
BREAKS = rf"\s!-/:-@\[-`{{-~{OTHER}"
LETTER = rf"[^\d{BREAKS}]"
CHARACTER = rf"[^{BREAKS}]"  # of a word: a letter, mark or digit
WORD = f"{CHARACTER}+"
WORD_END = f"(?!{CHARACTER})"

# Bytes of Windows-1252 read as Latin-1; the soft hyphen vanishes inside a word.
WINDOWS_1252 = {
    code: bytes([code]).decode("cp1252") for code in (0x80, 0x91, 0x92, 0x93, 0x94, 0x96, 0x97)
}
WINDOWS_1252[0xAD] = ""

STRAIGHT_QUOTES = str.maketrans(_table("‘ ` ‛ ` ‹ ` ’ ' › ' “ `` « `` ” '' » '' \" ''"))
SPELLED = _table(
    "( -lrb- ) -rrb- [ -lsb- ] -rsb- { -lcb- } -rcb- … ... ¼ 1/4 ½ 1/2 ¾ 3/4 ⅓ 1/3 ⅔ 2/3"
    " £ # € $ ₠ $ ¤ $ ¢ cents &amp; & &lt; < &gt; > &quot; '' &apos; ' &nbsp; - &mdash; --"
    " &ndash; --"
)

# Abbreviations that keep their full stop, found by trying all words of up to four letters and
# 220,000 longer ones. A sentence may end after the first group: "co.x" is two tokens, "mr.x" one.
ENDING = """al ala apr ariz assn aug bancorp bhd bldg blvd bros calif co colo conn corp cos
    ct dak dec esq est etc ext feb fla fri ga inc ind intl jan jr jul jun kan kans ky ltd
    mar md mich minn mo mon mont neb nev nov oct okla penn plc rd rt sep sept seq sq sr sys
    tel tenn thu thurs tue tues univ va vt wed wis wisc wyo ph\\.d ed\\.d"""
ENDING_CAPITALISED = "Ark Az Del Ill La Mass Miss Ore Pa Tex Wash"
ENDING_NOT_ALL_CAPITALS = "ppte ppty pte ptes pty ptys Ppte Ppty Pte Ptes Pty Ptys"
LEADING = """adj adm adv alex assoc asst atty attys ave brig capt cf cie cmdr col comdr cpl
    dept det dr drs elec ens ft gen gov govs hon insp invt jos lieut lt maj messrs mlle mme
    mr mrs ms msgr mt natl pfc ph pres prof profs pvt rep reps rev sen sens sfc sgt spc st
    ste supt supts treas vs wm"""
LEADING_NOT_ALL_CAPITALS = "mfg mtg Mfg Mtg"
BEFORE_NUMBER = "art ca fig figs no nos op pp prop"
# A single letter loses its full stop before one of these: a new sentence has begun.
SENTENCE_STARTERS = """A About According Additionally After An As At But Earlier He Her Here
    However If In It Last Many More Now Once One Other Our She Since So Some Such That The Their
    Then There These They This We What When While Yet You"""
SPLIT_WORDS = frozenset(["cannot", "gonna", "gotta", "wanna", "gimme", "lemme"])

ENDING_ABBREVIATION = "|".join(
    [_in_any_case(ENDING), _any_of(ENDING_NOT_ALL_CAPITALS)]
    + [f"{word[0]}(?i:{word[1:]})" for word in ENDING_CAPITALISED.split()]
)
LEADING_ABBREVIATION = f"{_in_any_case(LEADING)}|{_any_of(LEADING_NOT_ALL_CAPITALS)}"
DOTTED = frozenset(
    word
    for words in (ENDING, ENDING_CAPITALISED, ENDING_NOT_ALL_CAPITALS, LEADING, "mfg mtg")
    for word in words.lower().split()
)
STARTER = _any_of(SENTENCE_STARTERS + " " + SENTENCE_STARTERS.upper())

APOSTROPHE = "(?:['’]|&apos;)"
INNER = "(?:['’‘`]|&apos;)"  # inside a word also the opening quote
CONTRACTED = "(?:[sSmMdD]|ll|re|ve|LL|RE|VE)"
NUMBER = r"(?:\d*(?:[.:,]\d+)+|\d+)"
DOTTED_WORD = rf"{LETTER}{CHARACTER}*(?:[.!?]{LETTER}{CHARACTER}*)+"
HYPHENATED = "[A-Za-z0-9][A-Za-z0-9.,]{0,60}(?:[-‐‑][A-Za-z0-9]+)+"
JOINED = f"{WORD}(?:[-‐‑_]{WORD})+"
ASCII_PART = "[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}"
SEPARATOR = "[ \u00a0-]"
EXTENSION = _in_any_case(
    "bat bmp c cgi class cpp dll doc docx exe gif gz h htm html jar java jpeg jpg mov pdf php pl"
    " png ppt ps py sql tar txt wav x xml zip"
)
EYES = "[x=~<>^'-]"
IN_HOST = r"[^\s\"'<>|.!?(){},]"
PATH = r"/[^\s\"<>|()]{1,2000}[^\s\"<>|.!?(){},-]"
ATTRIBUTE = r"\s+[A-Za-z][A-Za-z0-9_:.-]*(?:=(?:\"[^\"]{0,300}\"|'[^']{0,300}'))?"
TAG_NAME = "[A-Za-z][A-Za-z0-9_:.@-]*"

# Name, first characters ("a": letters, "0": digits, else themselves), pattern, rewriting.
# Where two rules match equally far the first wins. Repetitions that may run past the token have
# bounds, so that no text takes quadratic time.
PATTERNS: list[tuple[str, str, str, Callable[[str], str]]] = [
    ("can, before not", "a", f"(?i:(can)not|(gon)na|(got)ta|(wan)na|(gim|lem)me){WORD_END}", _same),
    ("word", "a0", WORD, _same),
    ("it, before 's", "a0", f"({WORD}){APOSTROPHE}{CONTRACTED}(?![A-Za-z])", _same),
    ("do, before n't", "a", f"([A-Za-z]*?[A-MO-Za-mo-z])[nN]{INNER}[tT]", _same),
    ("n't", "a", f"[nN]{INNER}[tT]", lambda token: _quotes(_straight(token))),
    ("'t, before is", "'’", f"({APOSTROPHE}[tT])(?i:is|was)", _straight),
    ("'s", "'&", f"(?:'|&apos;){CONTRACTED}(?![A-Za-z])", _straight),
    ("’s", "’", f"’{CONTRACTED}", _straight),  # also in "’small"
    ("'em", "'’&", f"{APOSTROPHE}(?:em|Em|EM|till?|Till?|TILL?|[cC]ause|CAUSE)", _same),
    ("'n'", "'’&", rf"{APOSTROPHE}[nN](?:{APOSTROPHE}|(?=\s|$))|’[nN]", _same),
    ("'90s", "'’&", rf"{APOSTROPHE}\d\d(?:s|(?=\s|$))", _same),
    ("y', before all", "a", f"([yY]{APOSTROPHE}){LETTER}", _same),
    (
        "ol'",
        "a",
        f"(?i:c{INNER}est)|(?i:(?:ol|dunkin|somethin|[djl]){APOSTROPHE}|li{INNER}l|e{INNER}er|ev{INNER}ry)",
        _same,
    ),
    ("O'Brien", "a", f"(?:{WORD}-)*[dlnoA-HJ-XZ]{INNER}{LETTER}{WORD}(?:-{WORD})*", _same),
    ("Ka'anapali", "a", f"{LETTER}+[aeiouyAEIOUY]{INNER}[aeiouA-Z]{LETTER}*", _same),
    # Words joined by punctuation.
    ("Inc.", "a", rf"((?:{ENDING_ABBREVIATION})\.)(?:-?[^\s-])?", _same),
    ("well-known", "a0", HYPHENATED, _same),
    ("snake_case", "a0", JOINED, _same),
    ("and/or", "a0", rf"{ASCII_PART}(?:\\?/{ASCII_PART}){{1,2}}", _same),
    ("AT&T", "a", "[A-Z]+(?:(?:&amp;|[&+])[A-Z]+)+", lambda token: token.replace("&amp;", "&")),
    ("end.Next", "a", DOTTED_WORD, _same),
    ("c++", "a", r"[cC]\+\+|[cCfF]#", _same),
    # Full stops that stay.
    ("U.S.", "a", r"(?:[A-Za-z]\.)+[A-Za-z]\.?", _same),
    ("J.", "a", rf"[A-Za-z]\.(?!\s+(?:{STARTER})(?:\s|$))", _same),
    ("Mr.", "a", rf"(?:{LEADING_ABBREVIATION})\.", _same),
    ("No. 5", "a", rf"({_in_any_case(BEFORE_NUMBER)}\.)\s*\d", _same),
    ("x-U.S.", "a0", rf"{WORD}(?:-{WORD})*-(?:{LETTER}\.){{2,}}(?:-{WORD})*", _same),
    ("before a comma", "a0", rf"((?:{WORD}|{HYPHENATED}|{JOINED}|{DOTTED_WORD})\.)[,;:、]", _same),
    # Numbers and money.
    ("3.14", "0-+.,:", f"[-+]?{NUMBER}", _same),
    ("1 1/2", "0", rf"(?:\d{{1,4}}{SEPARATOR})?\d{{1,4}}[/⁄]\d{{1,4}}", _unbreakable),
    ("12/25/2010", "0", r"\d{1,2}[-/]\d{1,2}[-/]\d{2,4}", _same),
    (
        "555 123 4567",
        "0+(",
        rf"(?:\+?(?:\d{{2,4}}{SEPARATOR})?\d{{2,4}}{SEPARATOR}|\(\d{{2,3}}\){SEPARATOR}?)"
        rf"\d{{3,4}}{SEPARATOR}?\d{{3,4}}(?!\d)",
        lambda token: _unbreakable(_bracketed(token)),
    ),
    ("1.jpg", "a0", rf"{WORD}(?:\.{WORD}){{0,9}}\.{EXTENSION}(?=[\s!,.?]|$)", _same),
    ("US$", "a", r"[A-Z]+\$", _same),
    # The net.
    ("http", "a", r"(?i:https?)://[^\s\"<>|(){}]+[^\s\"<>|.!?(){},-]", _same),
    ("www", "a", rf"www\.(?:{IN_HOST}{{1,99}}\.){{1,20}}[a-zA-Z]{{2,4}}(?:{PATH})?", _same),
    ("x.com/path", "a", rf"{WORD}(?:\.{WORD}){{0,9}}\.(?:com|net|org|edu){PATH}", _same),
    (
        "e-mail",
        "a0<",
        r"<?[a-zA-Z0-9][^\s\"<>|(){}]{0,64}@(?:[^\s\"<>|(){}.]{1,99}\.){0,20}[^\s\"<>|(){}.]+>?",
        _same,
    ),
    ("@user", "@", "@[A-Za-z_][A-Za-z_0-9]*", _same),
    ("#tag", "#", f"#{LETTER}+", _same),
    ("<a b>", "<", rf"<{TAG_NAME}(?:{ATTRIBUTE}){{0,20}}\s*(?:/\s*)?>", _unbreakable),
    ("</a>", "<", rf"</{TAG_NAME}\s*>|<[!?][A-Za-z-][^<>]{{0,1000}}>", _unbreakable),
    ("&amp;", "&", r"&(?:(?i:amp|lt|gt|quot|apos|nbsp)|mdash|ndash);|&#\d+;", _spelled),
    # Faces; a bracket in a face is spelled as any other.
    (":-)", "<>:;=", r"[<>]?[:;=]['o*-]?[]\[(){|\\DdPpO@](?![A-Za-z0-9])", _bracketed),
    ("^_^", "x=~<>^'-", f"{EYES}_{EYES}", _same),
    ("(^_^)", "(", rf"\({EYES}[_.-]?{EYES}\)", _bracketed),
    ("-LRB-", "-", "-[LRlr][RSCrsc][Bb]-", _same),
    # Runs of one character.
    ("...", ".", r"\.{3,5}|\. \. \.", lambda token: "..."),
    ("--", "-" + DASHES, f"-----+|-{{2,4}}|[{DASHES}]+", _dash),
    ("''", "'", "''", _same),
    ("quotes", QUOTES + "`", f"[{QUOTES}`]{{1,2}}", _quotes),
    ("!!!", "!?", "[!?]+", _same),
    (
        "***",
        "*_#\\@<>‚„‟" + NUMERALS,
        r"(?:\\?\*)+|‚+|„+|‟+|_+|\#+|@+|<<|>>|[²³¹]+|[⁰⁴-⁹]+|[₀-₉]+",
        _same,
    ),
    ('"', '"', '"', _quotes),
]


def _rules() -> tuple[dict[str, tuple[Rule, ...]], tuple[Rule, ...]]:
    """The rules that may apply at each first character, and at a letter beyond ASCII."""
    found: dict[str, list[Rule]] = {character: [] for character in string.punctuation}
    for name, starts, pattern, rewrite in PATTERNS:
        rule = Rule(name, re.compile(pattern).match, rewrite)
        for start in starts:
            kind = {"a": string.ascii_letters + "é", "0": string.digits}.get(start, start)
            for first in kind:
                found.setdefault(first, []).append(rule)
    return {first: tuple(rules) for first, rules in found.items()}, tuple(found["é"])


RULES_BY_FIRST, RULES_FOR_LETTERS = _rules()
TOKEN_START = re.compile(r"\S")
# The two short cuts below hold where no rule could reach beyond the word.
PLAIN = re.compile(r"\s*[A-Za-z]+(?:,?[ ]+[A-Za-z]+)*(?:[ ]*[.!?])?\s*")
PLAIN_PUNCTUATION = str.maketrans(dict.fromkeys(",.!?", " "))
PLAIN_WORD = re.compile(r"([A-Za-z]+)(?=[\s()\"]|$|[,;:!?](?:\s|$))")
