"""`livia secret`: certificates and keys that listeners and pools name."""

import argparse
import sys
from collections.abc import Callable
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING

from livia.ops.commands.outcome import fail
from livia.ops.commands.parsing import command

if TYPE_CHECKING:
    from livia.ops.secrets import Files
    from livia.ops.services import Installation

_PROMPT = "Passphrase: "


def add(parser: argparse.ArgumentParser) -> None:
    """What can be done with secrets."""
    parser.set_defaults(run=_secret)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    listing = command(actions, "list", "show all secrets, until when they hold, and who uses them")
    listing.set_defaults(act=_list)
    create = command(
        actions,
        "create",
        "keep a certificate, a CA bundle or a revocation list; print its reference",
        # Who knows another program's --passphrase is not to have what follows it taken for a file.
        allow_abbrev=False,
    )
    create.set_defaults(act=_create)
    _add_material(create)
    create.add_argument("--name", default="", help="what people call it")
    create.add_argument("--project", metavar="ID", help="only this project may use it (default: every project)")
    replace = command(
        actions, "replace", "renew: keep other material under a reference, for whatever uses it", allow_abbrev=False
    )
    replace.set_defaults(act=_replace)
    _add_secret(replace)
    _add_material(replace)
    show = command(actions, "show", "everything about a secret but its key")
    show.set_defaults(act=_show)
    _add_secret(show)
    delete = command(actions, "delete", "forget a secret")
    delete.set_defaults(act=_delete)
    _add_secret(delete)
    delete.add_argument("--force", action="store_true", help="also while listeners or pools use it")


def _add_secret(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("secret", help="reference, id or name")


def _add_material(parser: argparse.ArgumentParser) -> None:
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument(
        "--certificate", type=Path, metavar="FILE", help="PEM; its key and intermediates may follow in it"
    )
    kind.add_argument("--pkcs12", type=Path, metavar="FILE", help="a certificate, its key and intermediates in one")
    kind.add_argument(
        "--file", type=Path, dest="bundle", metavar="FILE", help="PEM: CA certificates, or certificate revocation lists"
    )
    parser.add_argument("--private-key", type=Path, metavar="FILE", help="PEM")
    parser.add_argument("--intermediates", type=Path, metavar="FILE", help="PEM")
    parser.add_argument(
        "--passphrase-file",
        metavar="FILE",
        help="holds the passphrase of the key or the PKCS12 bundle, - is standard input; asked for if left out",
    )


def _secret(installation: "Installation", options: argparse.Namespace) -> int:
    from livia.ops.secrets import SecretError

    try:
        options.act(installation, options)
    except SecretError as error:
        return fail(str(error))
    return 0


def _list(installation: "Installation", _options: argparse.Namespace) -> None:
    from livia.ops import secrets

    secrets.show_all(installation)


def _show(installation: "Installation", options: argparse.Namespace) -> None:
    from livia.ops import secrets

    secrets.show(installation, options.secret)


def _delete(installation: "Installation", options: argparse.Namespace) -> None:
    from livia.ops import secrets

    secrets.delete(installation, options.secret, force=options.force)


def _create(installation: "Installation", options: argparse.Namespace) -> None:
    from livia.ops import secrets

    created = secrets.create(
        installation,
        _files(options),
        name=options.name,
        project_id=options.project,
        passphrase=_passphrase(options),
        ask=_asker(),
    )
    _say(created.reference, created.notes)


def _replace(installation: "Installation", options: argparse.Namespace) -> None:
    from livia.ops import secrets

    replaced = secrets.replace_material(
        installation, options.secret, _files(options), passphrase=_passphrase(options), ask=_asker()
    )
    _say(f"{replaced.reference}: {_users(replaced.load_balancers)}", replaced.notes)


def _files(options: argparse.Namespace) -> "Files":
    from livia.ops.secrets import Files

    return Files(**{name: getattr(options, name) for name in Files.__struct_fields__})


def _passphrase(options: argparse.Namespace) -> str | None:
    """What was given: not as an argument, for those are anybody's to see (proc(5), cmdline)."""
    from livia.ops import secrets

    given = options.passphrase_file
    if given is None:
        return None
    if given == "-":
        return getpass(_PROMPT) if sys.stdin.isatty() else secrets.read_passphrase(sys.stdin.buffer, "standard input")
    return secrets.passphrase_in(Path(given))


def _asker() -> Callable[[], str] | None:
    """What asks for a passphrase, where there is somebody to ask."""
    return (lambda: getpass(_PROMPT)) if sys.stdin.isatty() else None


def _say(sentence: str, notes: tuple[str, ...]) -> None:
    print(sentence)
    for note in notes:
        print(f"warning: {note}", file=sys.stderr)


def _users(load_balancers: int) -> str:
    if not load_balancers:
        return "replaced; no load balancer uses it."
    many = "1 load balancer" if load_balancers == 1 else f"{load_balancers} load balancers"
    return f"replaced; {many} will use it from now on."
