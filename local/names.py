"""Lists of names as the film data write them, made into persons.

The data join names by ", " although some names contain it ("Ed Begley, Jr."), and mix in groups,
labels of Wikidata pages and job titles. Everything here was seen in the data.
"""

from __future__ import annotations

import re

_SUFFIXES = {"Jr.", "Sr.", "III"}
_TITLE = re.compile(
    r"\d+\w\w (Baron|Baronet|Earl|Marquess|Prince)\b.*"
    r"|(Countess|Duchess|Duke|Prince|Prince Consort|Princess) of .+"
)
_SPLIT_GROUPS = {
    "Wind & Fire": "Earth",
    "Stills & Nash": "Crosby",
    "Silverstein & Partners": "Goodby",
}
_NOBODY = {
    *("art director", "dialogue writer", "screenwriter", "the Creator", "geshe", "PhD"),
    *("40", "Friday the 13th", "Troll 2", "Midas and Bacchus", "Chaplin family", "Yokota family"),
    *("Blue Man Group", "The Committee", "The Mexican Players", "The Miracle Project"),
    *("Adam and the Ants", "Big Brother and the Holding Company", "Brooks & Dunn", "Sum 41"),
    *("Country Joe and the Fish", "Crime & the City Solution", "Deek Watson & His Brown Dots"),
    *("Dr. Hook & the Medicine Show", "Huey Lewis and the News", "Kid Creole and the Coconuts"),
    *("Sly and Robbie", "Sly and the Family Stone", "Tom Petty and the Heartbreakers"),
    *("Beastie Boys", "Boyz II Men", "The Band", "The Beatles", "The Beau Brummels"),
    *("The Blind Boys of Alabama", "The Chemical Brothers", "The Clancy Brothers", "The Clash"),
    *("The Cold Crush Brothers", "The Dandy Warhols", "The Fat Boys", "The Flirtations"),
    *("The Hives", "The Lonely Island", "The Lovin' Spoonful", "The McGuire Sisters"),
    *("The Mooney Suzuki", "The Neville Brothers", "The Offspring", "The Platters"),
    *("The Pogues", "The Pointer Sisters", "The Pussycat Dolls", "The Roots", "The Shadows"),
    *("The Staple Singers", "The Temptations", "The Three Stooges", "The Time", "The Who"),
    *("The Young Bucks", "The Zombies", "The 5.6.7.8's", "The Andrews Sisters", "The Peanuts"),
    *("Sons of the Pioneers", "Jonas Brothers", "Lane Sisters", "Bowling for Soup", "B-Boys"),
    *("Lombard Twins", "Thomas brothers", "The Hageman Brothers", "L7", "TLC", "dead prez"),
}
_GROUPS = {
    "the Wachowskis": ("Lana Wachowski", "Lilly Wachowski"),
    "The Gordons": ("Gordon Gordon", "Mildred Gordon"),
    "Coen brothers": ("Ethan Coen", "Joel Coen"),
    "Hughes brothers": ("Albert Hughes", "Allen Hughes"),
    "Pang brothers": ("Danny Pang", "Oxide Pang"),
    "Neveldine/Taylor": ("Brian Taylor", "Mark Neveldine"),
    "Kessler Twins": ("Alice Kessler", "Ellen Kessler"),
    "Age & Scarpelli": ("Agenore Incrocci", "Furio Scarpelli"),
    "Penn & Teller": ("Penn Jillette", "Teller"),
    "Siegfried & Roy": ("Roy Horn", "Siegfried Fischbacher"),
    "Delaney & Bonnie": ("Bonnie Bramlett", "Delaney Bramlett"),
    "Dick and Dom": ("Dominic Wood", "Richard McCourt"),
}
_SIBLINGS = re.compile(r"(\S+) (?:and|&) (\S+) (\S+)")  # Paul and Gaëtan Brizzi
_PAIR = re.compile(r"(\S+ .+?) and (\S+ .+)")  # Jared Hess and Jerusha Hess


def persons(names: str | None) -> list[str]:
    """Return the persons' names of a list as the data have it: each once, in the list's order."""
    joined = _join((names or "").split(", "))
    found = (person for name in joined for person in _members(" ".join(name.split())))
    return list(dict.fromkeys(found))


def _join(parts: list[str]) -> list[str]:
    """Put together what the separator tore apart, and leave out what is no name at all."""
    whole: list[str] = []
    for part in parts:
        if part in _SUFFIXES and whole:
            whole[-1] += f" {part}"
        elif _TITLE.fullmatch(part) and whole:
            whole[-1] += f", {part}"
        elif part in _SPLIT_GROUPS:
            if whole and whole[-1] == _SPLIT_GROUPS[part]:
                whole.pop()
        elif part and part not in _NOBODY and not part.startswith("list of "):
            whole.append(part)
    return whole


def _members(name: str) -> tuple[str, ...]:
    """Return the person, or the two persons that the data took for one."""
    if name in _GROUPS:
        return _GROUPS[name]
    name = re.sub(r" ?\([^)]*\)", "", name)
    if siblings := _SIBLINGS.fullmatch(name):
        first, second, surname = siblings.groups()
        return (f"{first} {surname}", f"{second} {surname}")
    if (pair := _PAIR.fullmatch(name)) and " of " not in name:
        return (pair[1], pair[2])
    return (name,)
