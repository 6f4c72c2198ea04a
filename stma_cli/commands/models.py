"""`stma models`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from stma.weights_file import ModelInfo


def models(
    name: Annotated[str | None, typer.Argument(help="Print the model card of this model.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the list, or the one model with its card, as JSON.")
    ] = False,
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
                card = info.card.read_text("utf-8")
                typer.echo(json.dumps(_row(info) | {"text": card}, indent=2) if as_json else card)
                return
        names = ", ".join(info.name for info in found) or "none"
        raise WeightsError(f"no model card of {name!r} ships with stma", f"choose from: {names}")
    if as_json:
        typer.echo(json.dumps([_row(info) for info in found], indent=2))
        return
    for info in found:
        typer.echo(
            f"{info.name}  {info.parameters / 1e6:.1f} M parameters  sha256 {info.sha256[:12]}  {info.path}"
        )
    typer.echo("stma models NAME prints the card: data, licence, training, scores.")


def _row(info: "ModelInfo") -> dict[str, Any]:
    return {
        "name": info.name,
        "parameters": info.parameters,
        "sha256": info.sha256,
        "path": str(info.path),
        "card": str(info.card) if info.card else None,
    }
