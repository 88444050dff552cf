"""`python -m tools.toolchain ensure|list`: get the tools ready, or show what is there."""

import argparse
import sys
from collections.abc import Sequence

from tools.problem import ProblemError
from tools.progress import Progress
from tools.toolchain import GROUPS, ToolReport, ensure, inspect

_ALL = tuple(dict.fromkeys(name for group in GROUPS.values() for name in group))


def _names(words: Sequence[str]) -> list[str]:
    """Tools of the given names and groups; all when none is given."""
    return list(dict.fromkeys(name for word in words for name in GROUPS.get(word, (word,)))) if words else list(_ALL)


def _line(report: ToolReport) -> str:
    if report.problem is not None:
        return f"{report.name:26} {report.problem}"
    if report.tool is None:
        return f"{report.name:26} {report.pinned or '-':12} missing     comes by itself when needed, or {report.fix}"
    return f"{report.name:26} {report.tool.version:12} {report.tool.origin:11} {report.tool.path}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.toolchain", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    names = f"tools, or the groups {', '.join(GROUPS)}; all when none is given"
    for name, summary in (
        ("ensure", "find, download, unpack or build tools; what is there already takes no time"),
        ("list", "print each tool with version, origin and path; changes nothing"),
    ):
        command = commands.add_parser(name, help=summary, description=summary)
        command.add_argument("names", nargs="*", metavar="NAME", help=names)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 when all is well, 1 with one sentence per problem on standard error."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "ensure":
            for tool in ensure(_names(options.names), Progress()).values():
                print(f"{tool.name:26} {tool.version:12} {tool.origin:11} {tool.path}")
            return 0
        reports = inspect(_names(options.names))
    except ProblemError as error:
        print(error, file=sys.stderr)
        return 1
    for report in reports:
        print(_line(report))
    return 1 if any(report.problem for report in reports) else 0


if __name__ == "__main__":
    sys.exit(main())
