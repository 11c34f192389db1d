"""The command line of the book: `python -m src.book COMMAND`.

Every command imports what it needs when it is called, so that each of them starts fast.
"""

import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import click

from src.book.storage.errors import BookError, choose
from src.book.storage.files import trouble

_EPILOG = """\b
exit status:
  0    all is well
  1    a chapter failed, check found problems, or a number drifted
  2    wrong input: the message says what is valid
  6    the machine: the disk is full, or cannot be written
  75   out of time (BOOK_BUDGET_S): what is finished is kept, run it again to go on
  130  interrupted
run-one also says how the chapter failed:
  1    a cell raised                    4    over the memory limit
  2    the chapter or a parameter is    5    the kernel died
       not valid                        6    the machine: disk, kernel does not start
  3    over the time limit

\b
environment:
  BOOK_BUDGET_S     seconds after which the larger profiles begin no new unit
  BOOK_BUILD        the folder for everything that is made (default: _build)
  BOOK_DATA_MIRROR  folders that hold data sets
  BOOK_DOWNLOAD_S   seconds after which a download that stalls is given up (default: 30)
  BOOK_LIMIT_S      seconds after which a chapter is ended, instead of its profile's
  BOOK_MEMORY_GIB   memory at which a chapter is ended, instead of its profile's
"""


def main(arguments: list[str] | None = None, name: str = "python -m src.book") -> int:
    """Run a command; return its exit status. `name` is what help calls the program."""
    # A polite request to end is treated like Ctrl-C: kernels end with us.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return commands.main(arguments, prog_name=name, standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except BookError as error:
        _say(error)
        return 2
    except OSError as error:
        if not (said := trouble(error)):
            raise
        _say(said)
        return 6
    except (KeyboardInterrupt, click.Abort):
        print("interrupted; what is finished is kept, run it again to go on", file=sys.stderr)
        return 130


def _say(error: object) -> None:
    print(f"error: {error}", file=sys.stderr)


class _Commands(click.Group):
    def resolve_command(self, context: click.Context, arguments: list[str]) -> tuple:
        choose("command", arguments[0], list(self.commands))
        return super().resolve_command(context, arguments)


@click.group(cls=_Commands, epilog=_EPILOG, invoke_without_command=True, no_args_is_help=True)
@click.option("--version", is_flag=True, help="Say the book's version.")
@click.pass_context
def commands(context: click.Context, version: bool) -> None:
    """Run, check and render the book."""
    if version:
        from src.book.notebook import repository

        print(f"Papers That Run {repository.version()}")
        context.exit()


def _command(*parameters: Callable) -> Callable:
    """Make a function a command with these options and arguments; all say the same at the end."""

    def register(function: Callable) -> Callable:
        for parameter in reversed(parameters):
            function = parameter(function)
        commands.command(epilog=_EPILOG)(function)
        return function

    return register


def _profile(usual: str) -> Callable:
    return click.option("--profile", default=usual, show_default=True, help="quick, cpu or gpu.")


_chapters = click.argument(
    "chapters", nargs=-1, metavar="[CHAPTER]...", help="Default: all chapters.",
    callback=lambda context, parameter, names: list(names) or None,
)  # fmt: skip
_jobs = click.option(
    "--jobs", type=click.IntRange(1), help="Chapters at a time (default: by cores)."
)
_force = click.option("--force", is_flag=True, help="Run even what is up to date.")
_clean = click.option("--clean", is_flag=True, help="Render every page anew.")
_seeds = click.option(
    "--seeds", help="Such as 0-4 or 0,1,2 (default: the chapters' own seed); a seed other than "
    "the chapter's own writes a ledger file of its own.",
)  # fmt: skip


@_command(_chapters, _profile("quick"), _jobs, _force)
def run(chapters: list[str] | None, **asked: object) -> int:
    """Run the chapters that are out of date."""
    from src.book.execution import runner
    from src.book.notebook.chapters import MISNAMED, misnamed

    outcomes = runner.run_and_report(chapters, **asked)
    # Files that are left out because of their names are told where everything is run.
    left_out = [] if chapters else misnamed()
    for name in left_out:
        _say(f"{name!r} {MISNAMED}")
    return runner.exit_status(outcomes) or int(bool(left_out))


@_command(
    click.argument("chapter", help="Such as foundations/transformer."),
    _profile("quick"),
    click.option("--seed", help="A whole number."),
    click.option(
        "-p", "--parameter", "parameters", nargs=2, multiple=True, metavar="NAME VALUE",
        help="Another parameter of the chapter; may be repeated.",
    ),
    click.option("--out", type=Path, help="Folder for page, result and log."),
)  # fmt: skip
def run_one(chapter: str, profile: str, seed: str | None, parameters: tuple, out: Path) -> int:
    """Run one chapter, up to date or not."""
    from src.book.execution.execute import execute

    given = dict(parameters) | ({} if seed is None else {"seed": seed})
    result = execute(chapter, profile, given, out=out, say=print)
    if result.status == "ok":
        seconds = result.seconds + result.startup_seconds
        print(f"{chapter}: ok, {seconds:.1f} s, {result.peak_memory_mb:.0f} MB")
    else:
        print(f"{chapter}: {result.status}: {result.says}", file=sys.stderr)
    return result.exit_status


@_command(_chapters)
def accept(chapters: list[str] | None) -> None:
    """Adopt the last quick runs as references and ledger."""
    from src.book.acceptance.accept import accept

    _tell_written(changed := accept(chapters))
    if not changed:
        print("nothing changed")


@_command(_chapters, _profile("cpu"), _jobs, _force, _seeds)
def results(chapters: list[str] | None, profile: str, seeds: str | None, **asked: object) -> int:
    """Run a larger profile and write its ledger."""
    from src.book.acceptance import larger
    from src.book.execution import runner

    if profile == "quick":
        raise BookError("quick results are adopted by accept; results takes --profile cpu or gpu")
    numbers = None if seeds is None else larger.parse_seeds(seeds)
    outcomes = larger.run_profile(chapters, profile, numbers, **asked)
    if table := larger.verdicts_by_seed(outcomes):
        print(table)
    print(
        "the quick pages show the results of the chapters' own seeds: make book, then make accept"
    )
    return runner.exit_status(outcomes)


@_command(_profile("cpu"), click.option("--out", type=Path, help="A file instead of the screen."))
def plan(profile: str, out: Path | None) -> None:
    """Print what a cluster must know of each run."""
    from src.book.execution import plan
    from src.book.storage.files import write_atomically

    text = plan.as_json(plan.plan(profile))
    if out:
        write_atomically(out, text)
    else:
        print(text, end="")


@_command(_chapters, _profile("cpu"))
def collect(chapters: list[str] | None, profile: str) -> int:
    """Tell how the last runs went; write the larger profiles' ledger."""
    from src.book.acceptance.accept import write_ledger
    from src.book.execution import plan, runner

    outcomes = plan.look(profile, chapters)
    print(runner.table(outcomes))
    if profile != "quick":
        _tell_written(write_ledger(o.result) for o in outcomes if o.state == "ok")
    return runner.exit_status(outcomes)


@_command(_chapters, _jobs)
def drift(chapters: list[str] | None, jobs: int | None) -> int:
    """Run quick afresh and list every number that moved."""
    from src.book.acceptance import drift
    from src.book.storage import paths
    from src.book.storage.files import write_atomically

    found = drift.measure(chapters, jobs=jobs)
    print(drift.table(found))
    report = paths.build_dir() / "drift.xml"
    write_atomically(report, drift.junit(found))
    _tell_written([report])
    far = [one.chapter for one in found if one.beyond]
    if far:
        print(f"look at {', '.join(far)}; if it is meant: make book, then make accept")
    return 1 if far else 0


@_command(_clean)
def site(clean: bool) -> int:
    """Render the book without running anything."""
    from src.book.site.build import build
    from src.book.storage.paths import short

    built = build(clean=clean)
    what = "rendered" if built.rendered else "up to date"
    index = short(built.folder / "index.html")
    print(f"{index}: {built.pages} pages, {what} in {built.seconds:.1f} s")
    for problem in built.problems:
        _say(problem)
    return 1 if built.problems else 0


@_command(_chapters, _profile("quick"), _jobs, _force, _clean)
def book(clean: bool, **asked: object) -> int:
    """Run what is out of date, then render the book."""
    status = run(**asked)
    try:
        return site(clean) or status
    except BookError as error:
        _say(error)
        return 1


@_command(_profile("quick"))
def times(profile: str) -> None:
    """Say where the last runs' time went, chapter by chapter."""
    from src.book.site import times

    print(times.table(profile))


@_command(_chapters)
def check(chapters: list[str] | None) -> int:
    """Look for what a good book must not hold."""
    from src.book.acceptance import gates

    problems = gates.check(chapters)
    for problem in problems:
        print(problem)
    count = f"{len(problems)} problem{'s' * (len(problems) > 1)}"
    print(count if problems else "all gates passed")
    return 1 if problems else 0


@_command(
    click.argument("part"),
    click.argument("chapter"),
    click.argument("paper", required=False, help="The paper's id."),
)
def new(part: str, chapter: str, paper: str | None) -> None:
    """Begin a chapter from the template."""
    from src.book.authoring.scaffold import new

    _tell_written(new(part, chapter, paper))


@_command(click.argument("repository", required=False, help="https://host/owner/name"))
def configure(repository: str | None) -> None:
    """Set the repository's address; write the install cells."""
    from src.book.notebook import install
    from src.book.notebook.repository import set_address

    if repository:
        print(f"_config.yml: the repository is {set_address(repository)}")
    _tell_written(install.refresh(), "the install cell of ")


def _tell_written(files: Iterable[Path], what: str = "") -> None:
    from src.book.storage.paths import short

    for file in files:
        print(f"wrote {what}{short(file)}")


if __name__ == "__main__":
    sys.exit(main())
