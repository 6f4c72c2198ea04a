"""`stma info`."""

from typing import Annotated

import typer


def info(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,
) -> None:
    """Print versions, devices, codecs and models of this installation, and how to get what is missing.

    The exit status is 2 when something is missing that stma cannot do without, else 0.

    Example: stma info
    """
    import json
    from dataclasses import asdict

    from stma_cli.information import collect

    facts = collect()
    if as_json:
        typer.echo(json.dumps([asdict(fact) for fact in facts], indent=2))
    else:
        section = None
        for fact in facts:
            typer.echo(f"{fact.section if fact.section != section else '':10}{fact.name:24}{fact.value}")
            section = fact.section
            if fact.fix is not None:
                typer.echo(f"{'':10}{'':24}to get it: {fact.fix}")
    if any(fact.needed and fact.fix is not None for fact in facts):
        raise typer.Exit(2)
