"""Descriptions of films: a few sentences composed of the facts that the data have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# The originals' titles of well-known films, by number at Wikidata: the data have only Latin script.
RUSSIAN_TITLES = {
    53105: "Москва слезам не верит",  # Moscow Does Not Believe in Tears, 1980
    125772: "Солярис",  # Solaris, 1972
    147878: "Иваново детство",  # Ivan's Childhood, 1962
    200437: "Сталкер",  # Stalker, 1979
    503046: "Андрей Рублёв",  # Andrei Rublev, 1966
    714524: "Летят журавли",  # The Cranes Are Flying, 1957
    838149: "Зеркало",  # The Mirror, 1975
    1127167: "Утомлённые солнцем",  # Burnt by the Sun, 1994
    1130395: "Иди и смотри",  # Come and See, 1985
    1305092: "Баллада о солдате",  # Ballad of a Soldier, 1959
}
_KINDS = {
    "Drama": "drama",
    "Comedy": "comedy",
    "Documentary": "documentary",
    "Thriller": "thriller",
    "Western": "western",
    "Musical": "musical",
    "Romance": "love story",
    "Biography": "biography",
    "Adventure": "adventure",
    "Sci-Fi": "science fiction film",
    "Animation": "animated film",
}
_WITH_ARTICLE = ("Czech", "Federal", "Netherlands", "People's", "Philippines", "Soviet", "United")
_COMMON = {"English", "American English"}


def describe(film: Mapping[str, Any]) -> str:
    """Return the description of a film: a row of `local.films`, with lists of names."""
    sentences = (_kind(film), _making(film), _success(film), _original_title(film["number"]))
    return " ".join(sentence for sentence in sentences if sentence)


def _kind(film: Mapping[str, Any]) -> str:
    genres: Sequence[str] = film["genres"]
    kinds = [_KINDS.get(genre, f"{genre.lower()} film") for genre in genres[:1]]
    kind = kinds[0] if kinds else "film"
    length = f"{film['runtime']:.0f}-minute " if (film["runtime"] or 0) >= 10 else ""
    text = f"{_article(length or kind)} {length}{kind} from {film['year']}"
    if len(genres) > 1:
        text += f" with elements of {_listed([_element(genre) for genre in genres[1:4]])}"
    return _sentence(text + _authors(film["directors"][:3], film["writers"][:3]))


def _authors(directors: Sequence[str], writers: Sequence[str]) -> str:
    if directors and directors == writers:
        return f", written and directed by {_listed(directors)}"
    directed = f"directed by {_listed(directors)}" if directors else ""
    written = f"written by {_listed(writers)}" if writers else ""
    both = " and ".join(filter(None, (directed, written)))
    return f", {both}" if both else ""


def _making(film: Mapping[str, Any]) -> str:
    countries = [name for name in (film["countries"] or "").split(", ") if name][:3]
    languages = [name for name in (film["languages"] or "").split(", ") if name][:3]
    parts = []
    if countries:
        made = _listed([_country(name) for name in countries])
        spoken = f" in {_listed(languages)}" if languages and set(languages) - _COMMON else ""
        parts.append(f"was made in {made}{spoken}")
    if film["actors"]:
        parts.append(f"stars {_listed(film['actors'][:4])}")
    return _sentence(f"It {' and '.join(parts)}") if parts else ""


def _success(film: Mapping[str, Any]) -> str:
    parts = []
    if film["oscars"]:
        parts.append(f"won {film['oscars']} Oscar{'s' if film['oscars'] > 1 else ''}")
    elif (film["awards"] or "").startswith("Nominated"):
        parts.append(film["awards"].rstrip(".").replace("Nominated", "was nominated", 1))
    millions = (film["box_office"] or 0) / 1e6
    if millions >= 1:
        parts.append(f"took ${millions:,.0f} million at the box office")
    return _sentence(f"It {' and '.join(parts)}") if parts else ""


def _original_title(number: int) -> str:
    return f"Original title: «{RUSSIAN_TITLES[number]}»." if number in RUSSIAN_TITLES else ""


def _element(genre: str) -> str:
    return {"Sci-Fi": "science fiction", "Biography": "biography"}.get(genre, genre.lower())


def _country(name: str) -> str:
    return f"the {name}" if name.startswith(_WITH_ARTICLE) else name


def _article(following: str) -> str:
    return "An" if following.startswith(("a", "e", "i", "o", "8", "11-", "18-")) else "A"


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."  # it may end with Jr.


def _listed(names: Sequence[str]) -> str:
    """Return "A", "A and B", "A, B and C"."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
