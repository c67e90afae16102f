"""`regionshift history`: the newest runs, the whole story of one, and taking runs of versions that did not seal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType

from regionshift.cli.opening import opened
from regionshift.cli.options import Choices
from regionshift.cli.show import confirm, console, print_json
from regionshift.errors import EXIT_OK
from regionshift.journal.events import DECISION, RunSummary
from regionshift.operations.status import told_outcome
from regionshift.operations.story import RunStory, SettingsChange, StoryStep, story_of
from regionshift.report.folding import listed
from regionshift.report.live import said_in_words
from regionshift.report.printer import Rows, Text
from regionshift.report.terminal import duration, instant, short, value_text
from regionshift.report.values import as_data

_MOST_REGIONS = 3
_MARKS = {"done": ("✓", "green"), "failed": ("✗", "red"), "open": ("…", "yellow"), "decided": ("↩", "yellow")}


def run_history(choices: Choices, limit: int) -> int:
    """The newest runs and how each ended."""
    with opened(choices) as session:
        runs = session.journal.history(limit)
    if choices.as_json:
        print_json(as_data(runs))
    else:
        console(choices).print(history_table(runs))
    return EXIT_OK


def run_story(choices: Choices, name: str) -> int:
    """Everything that is known of one run."""
    with opened(choices) as session:
        story = story_of(session.journal, session.catalog.store, name)
    if choices.as_json:
        print_json(story.to_json())
    else:
        console(choices).print(story_view(story))
    return EXIT_OK


def run_seal(choices: Choices) -> int:
    """Show every run that has events without a seal, ask, and take them for the environment's own."""
    with opened(choices, locked=True, unsealed=True) as session:
        journal = session.journal
        found = journal.unsealed()
        runs = journal.runs_of(found)
        if choices.as_json:
            print_json(as_data(runs))
        else:
            console(choices).print(history_table(runs) if found else "Everything in the journal is sealed.")
        if found:
            question = f"Take {len(found)} events and copies of {len(runs)} runs as they are?"
            confirm(choices, question, session.environment.config)
            journal.take(found)
    return EXIT_OK


def history_table(runs: Sequence[RunSummary]) -> RenderableType:
    """One line a run, the newest first; then why, of each that says so."""
    if not runs:
        return Text("Nothing was done yet.")
    table = Rows("run", "began", "seconds", "by", "regions", "of", "ended")
    for run in runs:
        took = f"{(run.ended - run.started).total_seconds():.1f}" if run.ended else ""
        table.add(
            run.run_id,
            instant(run.started),
            took,
            run.by,
            listed(run.regions, most=_MOST_REGIONS),
            run.subject,
            told_outcome(run),
        )
    reasons = [Text(f"{run.run_id}: {run.reason}", "dim") for run in runs if run.reason]
    return Group(
        table, *reasons, Text("regionshift history RUN tells all of one; its number is enough", "dim")
    )


def story_view(story: RunStory) -> RenderableType:
    """Who, when and where; what it changed; each step; what failed, what was rolled back and why; how it was left."""
    run = story.run
    style = "green" if not any(step.end == "failed" for step in story.steps) and run.outcome else "yellow"
    parts: list[RenderableType] = [Text(f"{run.run_id}  ", "bold").append(story.ended_as, style)]
    took = f", took {duration(story.seconds)}" if story.seconds is not None else ", is open"
    parts.append(Text(f"began {instant(run.started)}{took}{', by ' + run.by if run.by else ''}"))
    parts += [Text(f"regions: {', '.join(run.regions)}")] if run.regions else []
    if run.subject:
        parts.append(
            Text(f"of {run.subject}: regionshift {'status' if run.of_data else 'history'} {run.subject}")
        )
    parts += [Text(f"why: {short(run.reason)}")] if run.reason else []
    for change in story.changes:
        parts += _change(change)
    if story.missing:
        parts.append(Text(story.missing, "yellow"))
    elif not story.steps:
        parts.append(Text("No step began."))
    parts += _steps(story)
    if story.regions:
        parts.append(Text("How it left the regions:", "bold"))
        width = max(map(len, story.regions))
        parts += (Text(f"  {region:<{width}}  {how}") for region, how in story.regions.items())
    if story.parts:
        parts.append(Text("Runs that it began:", "bold"))
        parts += (Text(f"  {part.run_id}  {told_outcome(part)}") for part in story.parts)
    parts += (
        Text(f"It was rolled back later: regionshift history {later}", "yellow")
        for later in story.taken_back_by
    )
    return Group(*parts)


def _change(change: SettingsChange) -> Iterator[RenderableType]:
    before, after = (short(digest or "nothing") for digest in (change.before, change.after))
    where = ", ".join(change.regions)
    yield Text(f"{before} → {after}", "bold").append(f"  {where}", "not bold")
    if change.unknown:
        yield Text(f"  what differs is not known: {change.unknown}", "dim")
    for each in change.differences:
        before, after = value_text(each.before), value_text(each.after)
        yield Text(f"  {each.path}: ", "dim").append(f"{before} → {after}", "not dim")
    if change.before and change.after and not change.differences and not change.unknown:
        yield Text("  the settings are the same", "dim")


def _steps(story: RunStory) -> Iterator[RenderableType]:
    turned, told = story.turned, False
    width = max((len(step.name) for step in story.steps), default=0)
    if story.steps:
        yield Text("Steps:", "bold")
    for step in story.steps:
        if step.back and not told:
            told = True
            yield Text(f"Rolled back{_because(turned)}", "bold yellow")
        yield _step(step, width)


def _because(turned: StoryStep | None) -> str:
    if turned is None:
        return ":"
    if turned.name == DECISION:
        by = turned.said.get("by")
        return f", as {'`' + str(by) + ' --back`' if by == 'resume' else by or 'somebody'} asked:"
    return f", because {turned.name} failed:"


def _step(step: StoryStep, width: int) -> RenderableType:
    mark, style = _MARKS[step.end]
    took = "never ended" if step.seconds is None else duration(step.seconds)
    text = Text(f"  {mark} ", style).append(f"{step.began:%H:%M:%S}  {step.name:<{width}}  ", "default")
    text.append(f"{took:<11}  ", "default dim").append(", ".join(step.regions), "default")
    said = short(step.why or ("to roll it back" if step.end == "decided" else said_in_words(step.said)))
    return text.append(f"  {said}", style if step.end != "done" else "default dim") if said else text
