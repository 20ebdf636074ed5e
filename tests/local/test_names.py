"""Lists of names as the film data write them."""

from __future__ import annotations

import pytest

from local.names import persons


def test_a_suffix_belongs_to_the_name_before_it() -> None:
    assert persons("Ed Begley, Jr., Tom Hanks") == ["Ed Begley Jr.", "Tom Hanks"]
    assert persons("Joaquin Garay, III") == ["Joaquin Garay III"]


def test_a_title_of_nobility_belongs_to_the_name_before_it() -> None:
    assert persons("Lee Garlington, Meghan, Duchess of Sussex, Molly Cheek") == [
        "Lee Garlington",
        "Meghan, Duchess of Sussex",
        "Molly Cheek",
    ]
    assert persons("Tim Bentinck, 12th Earl of Portland") == ["Tim Bentinck, 12th Earl of Portland"]


def test_a_name_that_looks_like_a_title_stays_a_name() -> None:
    names = ["Earl Cameron", "Prince", "50 Cent", "Princess Stéphanie of Monaco"]
    assert persons(", ".join(names)) == names


@pytest.mark.parametrize(
    "noise", ["list of Harry Potter cast members", "art director", "screenwriter", "40", ""]
)
def test_what_is_no_name_is_left_out(noise: str) -> None:
    assert persons(f"Emma Watson, {noise}, Tom Felton") == ["Emma Watson", "Tom Felton"]


@pytest.mark.parametrize(
    ("group", "members"),
    [
        ("the Wachowskis", ["Lana Wachowski", "Lilly Wachowski"]),
        ("Paul and Gaëtan Brizzi", ["Paul Brizzi", "Gaëtan Brizzi"]),
        ("Ron & Valerie Taylor", ["Ron Taylor", "Valerie Taylor"]),
        (
            "Christopher Markus and Stephen McFeely",
            ["Christopher Markus", "Stephen McFeely"],
        ),
        ("Mary-Kate and Ashley Olsen", ["Mary-Kate Olsen", "Ashley Olsen"]),
        ("Princess Theodora of Greece and Denmark", ["Princess Theodora of Greece and Denmark"]),
    ],
)
def test_two_persons_under_one_name_become_two(group: str, members: list[str]) -> None:
    assert persons(group) == members


def test_a_band_with_a_comma_in_its_name_leaves_nothing() -> None:
    assert persons("Donald Pleasence, Earth, Wind & Fire, Frankie Howerd") == [
        "Donald Pleasence",
        "Frankie Howerd",
    ]


def test_a_person_is_listed_once() -> None:
    assert persons("Lana Wachowski, the Wachowskis") == ["Lana Wachowski", "Lilly Wachowski"]


def test_no_names_are_no_persons() -> None:
    assert persons(None) == []
    assert persons("") == []
