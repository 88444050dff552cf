"""The command `modelway cost`, and the budget that a preview keeps."""

from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli_common import AsJson, Stack, job_of, print_json, print_table, say
from tools.problem import ProblemError

if TYPE_CHECKING:
    from infra.deploy import Job
    from infra.engine.session import Outcome


def cost(
    stack: Stack = None,
    load: Annotated[
        float | None, typer.Option(help="Predictions a second, for the price of 1,000; else requestsPerSecond.", min=0)
    ] = None,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Ask AWS's price list first, by your `aws`, and keep the answers.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Estimate what a month of a stack on EKS or GKE costs; exit status 1 when the budget is exceeded.

    List prices of what a preview shows, each with the page that it was read from. What nobody read is named: without …
    """
    from infra import cost as costs
    from infra import deploy

    work = job_of(stack)
    costs.of_stack(work.settings, ())  # Nothing to estimate is said before the preview runs.
    found = costs.of_stack(work.settings, deploy.preview(work, None).resources, refresh)
    requests_per_second = load or work.settings.cost.requests_per_second
    if as_json:
        print_json(costs.as_json(found, requests_per_second))
    else:
        print_table(costs.table(found))
        for sentence in costs.sentences(found, requests_per_second):
            typer.echo(sentence)
    if problems := costs.budget_problems(found, work.settings.cost.monthly_budget_usd):
        raise ProblemError(problems)


def keep_budget(work: "Job", outcome: "Outcome") -> None:
    """Raise `ProblemError` where what a preview shows costs more than the stack may."""
    from infra import cost as costs

    budget = work.settings.cost.monthly_budget_usd
    if budget is None:
        return
    found = costs.of_stack(work.settings, outcome.resources)
    lacking = f", without {'; '.join(found.without)}" if found.without else ""
    say(f"Budget: ${found.least_usd:,.2f} of ${budget:,.2f} a month{lacking}.")
    if problems := costs.budget_problems(found, budget):
        raise ProblemError(problems)
