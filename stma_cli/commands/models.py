"""`stma models`."""

from typing import Annotated

import typer


def models(
    name: Annotated[str | None, typer.Argument(help="Print the model card of this model.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """List the models that ship with stma, or print the card of one.

    Example: stma models small
    """
    import json

    from stma.errors import WeightsError
    from stma.weights_file import list_models

    found = list_models()
    if name is not None:
        for info in found:
            if info.name == name and info.card is not None:
                typer.echo(info.card.read_text())
                return
        names = ", ".join(info.name for info in found) or "none"
        raise WeightsError(f"no model card of {name!r} ships with stma; choose from: {names}")
    if as_json:
        rows = [
            {
                "name": info.name,
                "parameters": info.parameters,
                "sha256": info.sha256,
                "path": str(info.path),
                "card": str(info.card) if info.card else None,
            }
            for info in found
        ]
        typer.echo(json.dumps(rows, indent=2))
        return
    for info in found:
        typer.echo(
            f"{info.name}  {info.parameters / 1e6:.1f} M parameters  sha256 {info.sha256[:12]}  {info.path}"
        )
    typer.echo("stma models NAME prints the card: data, licence, training, scores.")
