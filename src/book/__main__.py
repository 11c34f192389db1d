"""The command line of the book: `python -m src.book COMMAND`."""

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from src.book.errors import BookError
from src.book.files import trouble

_STATUSES = """exit status:
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

environment:
  BOOK_BUDGET_S     seconds after which the larger profiles begin no new unit
  BOOK_BUILD        the folder for everything that is made (default: _build)
  BOOK_DATA_MIRROR  folders that hold data sets
  BOOK_DOWNLOAD_S   seconds after which a download that stalls is given up (default: 30)
  BOOK_LIMIT_S      seconds after which a chapter is ended, instead of its profile's
  BOOK_MEMORY_GIB   memory at which a chapter is ended, instead of its profile's
"""


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return its exit status."""
    # A polite request to end is treated like Ctrl-C: kernels end with us.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        options = _parser().parse_args(arguments)
        return options.command(options)
    except BookError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if not (said := trouble(error)):
            raise
        print(f"error: {said}", file=sys.stderr)
        return 6
    except KeyboardInterrupt:
        print("interrupted; what is finished is kept, run it again to go on", file=sys.stderr)
        return 130


def _run(options: argparse.Namespace) -> int:
    from src.book import runner

    outcomes = runner.run_and_report(
        options.chapters or None, options.profile, jobs=options.jobs, force=options.force
    )
    return runner.exit_status(outcomes) or (0 if options.chapters else _misnamed())


def _misnamed() -> int:
    """Say which files are left out because of their names; return 1 if there are any."""
    from src.book import notebooks

    found = notebooks.misnamed()
    for name in found:
        print(f"error: {name!r} {notebooks.MISNAMED}", file=sys.stderr)
    return 1 if found else 0


def _run_one(options: argparse.Namespace) -> int:
    from src.book.execute import execute

    given = dict(options.parameter or [])
    if options.seed is not None:
        given["seed"] = options.seed
    result = execute(options.chapter, options.profile, given, out=options.out, say=print)
    if result.status == "ok":
        seconds = result.seconds + result.startup_seconds
        print(f"{result.chapter}: ok, {seconds:.1f} s, {result.peak_memory_mb:.0f} MB")
    else:
        where = f"cell {result.cell}: " if result.cell else ""
        said = f"{result.chapter}: {result.status}: {where}{result.reason}; see {result.log}"
        print(said, file=sys.stderr)
    return result.exit_status


def _accept(options: argparse.Namespace) -> int:
    from src.book.accept import accept
    from src.book.notebooks import short

    changed = accept(options.chapters or None)
    for file in changed:
        print(f"wrote {short(file)}")
    if not changed:
        print("nothing changed")
    return 0


def _results(options: argparse.Namespace) -> int:
    from src.book import larger, runner

    if options.profile == "quick":
        raise BookError("quick results are adopted by accept; results takes --profile cpu or gpu")
    seeds = None if options.seeds is None else larger.parse_seeds(options.seeds)
    done = larger.run_profile(
        options.chapters or None, options.profile, seeds, jobs=options.jobs, force=options.force
    )
    if table := larger.verdicts_by_seed(done.results):
        print(table)
    print(
        "the quick pages show the results of the chapters' own seeds: make book, then make accept"
    )
    return runner.exit_status(done.outcomes)


def _drift(options: argparse.Namespace) -> int:
    from src.book import drift, paths
    from src.book.files import write_atomically
    from src.book.notebooks import short

    found = drift.measure(options.chapters or None, jobs=options.jobs)
    print(drift.table(found))
    report = paths.build_dir() / "drift.xml"
    write_atomically(report, drift.junit(found))
    print(f"wrote {short(report)}")
    far = [one.chapter for one in found if one.beyond]
    if far:
        print(f"look at {', '.join(far)}; if it is meant: make book, then make accept")
    return 1 if far else 0


def _plan(options: argparse.Namespace) -> int:
    from src.book import plan

    runs = plan.plan(options.profile)
    if options.out:
        plan.write(runs, options.out)
    else:
        print(plan.as_json(runs), end="")
    return 0


def _collect(options: argparse.Namespace) -> int:
    from src.book import notebooks, plan, runner
    from src.book.accept import write_ledger

    outcomes = plan.look(options.profile, options.chapters or None)
    print(runner.table(outcomes))
    if options.profile != "quick":
        for outcome in outcomes:
            if outcome.state == "ok":
                print(f"wrote {notebooks.short(write_ledger(outcome.result))}")
    return plan.exit_status(outcomes)


def _site(options: argparse.Namespace) -> int:
    from src.book.notebooks import short
    from src.book.site import build

    built = build(clean=options.clean)
    what = "rendered" if built.rendered else "up to date"
    index = short(built.folder / "index.html")
    print(f"{index}: {built.pages} pages, {what} in {built.seconds:.1f} s")
    for problem in built.problems:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if built.problems else 0


def _book(options: argparse.Namespace) -> int:
    status = _run(options)
    try:
        return _site(options) or status
    except BookError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _times(options: argparse.Namespace) -> int:
    from src.book import times

    print(times.table(options.profile))
    return 0


def _check(options: argparse.Namespace) -> int:
    from src.book import gates

    problems = gates.check(options.chapters or None)
    for problem in problems:
        print(problem)
    count = f"{len(problems)} problem{'s' * (len(problems) > 1)}"
    print(count if problems else "all gates passed")
    return 1 if problems else 0


def _new(options: argparse.Namespace) -> int:
    from src.book.notebooks import short
    from src.book.scaffold import new

    for file in new(options.part, options.chapter, options.paper):
        print(f"wrote {short(file)}")
    return 0


def _configure(options: argparse.Namespace) -> int:
    from src.book import install, repository
    from src.book.notebooks import short

    if options.repository:
        print(f"_config.yml: the repository is {repository.set_address(options.repository)}")
    for file in install.refresh():
        print(f"wrote the install cell of {short(file)}")
    return 0


def _version() -> str:
    from src.book.repository import version

    return f"Papers That Run {version()}"


def _parser() -> argparse.ArgumentParser:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m src.book", description=__doc__, epilog=_STATUSES, formatter_class=form
    )
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")

    def command(name: str, action: Callable, words: str) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name, help=words, description=words, epilog=_STATUSES, formatter_class=form
        )
        made.set_defaults(command=action)
        return made

    _running_options(command("run", _run, "run the chapters that are out of date"))
    one = command("run-one", _run_one, "run one chapter, up to date or not")
    one.add_argument("chapter", metavar="CHAPTER", help="such as foundations/transformer")
    one.add_argument("--profile", default="quick", help="quick (default), cpu or gpu")
    one.add_argument("--seed", help="a whole number")
    one.add_argument(
        "-p", "--parameter", nargs=2, action="append", metavar=("NAME", "VALUE"),
        help="another parameter of the chapter; may be repeated",
    )  # fmt: skip
    one.add_argument("--out", type=Path, help="folder for page, result and log")
    accepting = command("accept", _accept, "adopt the last quick runs as references and ledger")
    _chapters_option(accepting)
    results = command("results", _results, "run a larger profile and write its ledger")
    _running_options(results, profile="cpu")
    results.add_argument(
        "--seeds", help="such as 0-4 or 0,1,2 (default: the chapters' own seed); a seed other than "
        "the chapter's own writes a ledger file of its own",
    )  # fmt: skip
    words = "print what a cluster must know of each run: whether it is needed, and its resources"
    planning = command("plan", _plan, words)
    planning.add_argument("--profile", default="cpu", help="quick, cpu (default) or gpu")
    planning.add_argument("--out", type=Path, help="a file for the plan, instead of the screen")
    words = "say how the last runs went and write the larger profiles' ledger; nothing is run"
    collecting = command("collect", _collect, words)
    _chapters_option(collecting)
    collecting.add_argument("--profile", default="cpu", help="quick, cpu (default) or gpu")
    drifting = command("drift", _drift, "run quick afresh and list every number that moved")
    _chapters_option(drifting)
    _jobs_option(drifting)
    site = command("site", _site, "render the book without running anything")
    site.add_argument("--clean", action="store_true", help="render every page anew")
    book = command("book", _book, "run what is out of date, then render the book")
    _running_options(book)
    book.add_argument("--clean", action="store_true", help="render every page anew")
    times = command("times", _times, "say where the last runs' time went, chapter by chapter")
    times.add_argument("--profile", default="quick", help="quick (default), cpu or gpu")
    _chapters_option(command("check", _check, "look for what a good book must not hold"))
    words = "set the repository's address, and write the notebooks' install cells"
    configure = command("configure", _configure, words)
    configure.add_argument(
        "repository", nargs="?", metavar="REPOSITORY", help="https://host/owner/name"
    )
    new = command("new", _new, "begin a chapter from the template")
    new.add_argument("part", metavar="PART")
    new.add_argument("chapter", metavar="CHAPTER")
    new.add_argument("paper", nargs="?", metavar="PAPER", help="the paper's id")
    return parser


def _chapters_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER", help="default: all chapters")


def _running_options(parser: argparse.ArgumentParser, profile: str = "quick") -> None:
    _chapters_option(parser)
    parser.add_argument("--profile", default=profile, help=f"quick, cpu or gpu (default {profile})")
    _jobs_option(parser)
    parser.add_argument("--force", action="store_true", help="run even what is up to date")


def _jobs_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jobs", type=_positive, help="chapters at a time (default: by cores)")


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
