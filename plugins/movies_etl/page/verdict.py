"""Why is this document not found? What is known becomes one sentence and the next step. No I/O."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from movies_etl.page.buttons import Action, again, held_up, run
from movies_etl.page.facts import DocumentFacts, Facts, RowFacts
from movies_etl.page.labels import times, to_the_second
from movies_etl.page.letters import LetterSeen

FIRST_PAGE = 10
"""Places that a visitor sees without turning a page."""


class Verdict(BaseModel):
    """The answer about a document.

    :param state: ``found``; ``waiting`` for a run; ``refused``; ``missing`` from the index or
        ``stale`` there though the cursor has passed; ``gone`` from the catalogue; ``unknown``.
    :param sentence: the reason.
    :param next_step: what to do; empty where there is nothing to do.
    :param action: the button for it.
    """

    state: Literal["found", "waiting", "refused", "missing", "stale", "gone", "unknown"]
    sentence: str
    next_step: str = ""
    action: Action | None = None


def verdict(facts: Facts) -> Verdict:
    """Judge a document."""
    if facts.row is None or facts.document is None:
        return _without_an_answer(facts)
    said = _judged(facts, facts.row, facts.document)
    return said if _is_certain(said, facts, facts.row) else _without_an_answer(facts)


def _is_certain(said: Verdict, facts: Facts, row: RowFacts) -> bool:
    """Whether nothing that could not be read may change a verdict."""
    if said.state in ("found", "refused"):
        return True
    if said.state == "gone" or not facts.is_remembered:
        return facts.is_remembered
    return facts.knows_letter and row.behind is not None


def _judged(facts: Facts, row: RowFacts, document: DocumentFacts) -> Verdict:
    if document.concrete is None:
        return Verdict(
            state="waiting",
            sentence=f"There is no index of {facts.index} yet.",
            next_step=f"The first run of {facts.dag} makes it.",
            action=run(facts),
        )
    if not row.exists:
        return _without_a_row(facts, document)
    if facts.letter:
        return _refused(facts, facts.letter, document)
    if document.version is None:
        return _without_a_document(facts, row)
    return _differing(facts, row) if facts.differences else _equal(document)


def _without_an_answer(facts: Facts) -> Verdict:
    known = []
    if facts.row:
        known.append(f"the catalogue has {'this' if facts.row.exists else 'no such'} {facts.noun}")
    if facts.document:
        has = "no document of it" if facts.document.version is None else "a document of it"
        known.append(f"the index has {has}")
    said = f" What is known: {'; '.join(known)}." if known else ""
    lacks = "without what could not be read"
    if facts.row is None or facts.document is None:
        lacks = "while a server does not answer"
    elif not facts.is_remembered:
        lacks = "without the cursors and runs"
    return Verdict(
        state="unknown",
        sentence=f"No answer {lacks}.{said}",
        next_step="What is named above has to be put right first.",
    )


def _without_a_row(facts: Facts, document: DocumentFacts) -> Verdict:
    noun = facts.noun
    if document.version is None:
        return Verdict(
            state="gone",
            sentence=f"The catalogue has no {noun} of this id, and the index has none either.",
            next_step=f"Look for its words instead, or add the {noun} to the catalogue.",
        )
    if facts.left:
        return Verdict(
            state="gone",
            sentence=f"This {noun} was deleted from the catalogue. At the last look "
            f"{facts.left} documents without a row were left in the index, because a person "
            "decides about so many.",
            next_step=f"Answer the question of {facts.purge_dag} under Required Actions.",
        )
    return Verdict(
        state="gone",
        sentence=f"This {noun} was deleted from the catalogue; its document is still in the index.",
        next_step=f"Each run of {facts.dag} looks for deleted rows at its end and deletes their "
        f"documents.{held_up(facts)}",
        action=run(facts),
    )


def _refused(facts: Facts, letter: LetterSeen, document: DocumentFacts) -> Verdict:
    kept = (
        " Visitors find its last good document."
        if document.version is not None
        else " It was never indexed."
    )
    if facts.row and facts.row.document and not facts.row.problem:
        changed = "Try it again: what there is of it now fits the model."
    else:
        changed = "Correct its row, then try it again."
    return Verdict(
        state="refused",
        sentence=f"It was refused {times(letter.attempts)}, because {letter.cause}: "
        f"{letter.reason}.{kept}",
        next_step=changed,
        action=Action(label="Try again", dag=facts.dag, conf={"replay": [facts.id]}),
    )


def _without_a_document(facts: Facts, row: RowFacts) -> Verdict:
    if row.problem:
        return Verdict(
            state="waiting",
            sentence=f"It is not loaded yet, and will be refused as it is: {row.problem}.",
            next_step="Correct its row: the next run loads it.",
        )
    if not row.is_passed:
        return _waiting(facts, row)
    return Verdict(
        state="missing",
        sentence="The cursor has passed it, but the index has no document of it: its row was "
        "written with a time in the past, or its document was deleted.",
        next_step="Load it again.",
        action=again(facts),
    )


def _differing(facts: Facts, row: RowFacts) -> Verdict:
    fields = ", ".join(one.field for one in facts.differences)
    if row.problem:
        return Verdict(
            state="stale",
            sentence=f"Its document is older than its row ({fields}), and the row will be refused "
            f"as it is: {row.problem}.",
            next_step="Correct its row: the next run loads it.",
        )
    if not row.is_passed:
        return _waiting(facts, row, f" Until then visitors find the older {fields}.")
    if row.behind:
        streams = " and ".join(row.behind)
        return Verdict(
            state="waiting",
            sentence=f"Its document is older than the catalogue ({fields}), and rows of {streams} "
            "wait for a run.",
            next_step=f"The next run loads them.{held_up(facts)}",
            action=run(facts),
        )
    return Verdict(
        state="stale",
        sentence=f"Its document differs from the catalogue ({fields}), and nothing waits: "
        "something was changed or deleted without a new time of change.",
        next_step="Load it again.",
        action=again(facts),
    )


def _waiting(facts: Facts, row: RowFacts, more: str = "") -> Verdict:
    when = (
        f"It was changed at {to_the_second(row.modified)}"
        if row.modified
        else "It has no time of change"
    )
    if not facts.is_loaded:
        sentence = "The first load has not come to it yet."
    elif row.modified is None:
        sentence = f"{when}; such rows are read in every run.{more}"
    else:
        sentence = f"{when}, after the last run looked.{more}"
    return Verdict(
        state="waiting",
        sentence=sentence,
        next_step=f"The next run loads it.{held_up(facts)}",
        action=run(facts),
    )


def _equal(document: DocumentFacts) -> Verdict:
    if not document.is_searchable:
        return Verdict(
            state="found",
            sentence="It is in the index and equal to the catalogue; searches see it after the "
            "next refresh, within a second.",
        )
    if document.place is not None and document.place <= FIRST_PAGE:
        return Verdict(
            state="found",
            sentence="It is found: its document equals the catalogue, and a search for its own "
            f"title has it in place {document.place}.",
            next_step="If the site does not show it, look at the site's query, or at its cache.",
        )
    where = "beyond place 100" if document.place is None else f"in place {document.place}"
    return Verdict(
        state="found",
        sentence="Its document equals the catalogue, but a search for its own title has it "
        f"{where}: others fit those words better.",
        next_step="The index is right; the site's query decides the order.",
    )
