"""The `maint` program."""

import asyncio
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from bot import __version__
from commands import COMMANDS
from commands.command import Command
from commands.words import counted
from runbooks.errors import ConfigError, MaintError
from runbooks.status import EXIT_CODES, Status

#: Exit codes: 2 is for what was typed or configured wrongly, 1 for what could not be done.
EXIT_FAILED, EXIT_WRONG = 1, 2
#: The commands of the registry end as monitoring plugins do, whose 1 and 2 are findings
#: (monitoring-plugins.org, Development Guidelines, Plugin Return Codes): what kept one from answering is a 3.
EXIT_UNKNOWN = EXIT_CODES[Status.UNKNOWN]


class MaintGroup(click.Group):
    """Names the nearest command for one that there is not, and shows our errors as one line."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from runbooks.nearest import nearest

        two = " ".join(args[:2])
        if two in self.commands:  # `runbooks lint`, beside the words of `runbooks`
            return two, self.commands[two], args[2:]
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            meant = nearest(args[0], self.list_commands(ctx))
            if meant is None:
                raise
            raise click.UsageError(f"{error.message} Did you mean {meant}?", ctx) from error

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            error.show()
            ctx.exit(_exit_code(ctx, EXIT_WRONG))
        except ConfigError as error:
            for fault in error.faults:
                click.echo(str(fault), err=True)
            click.echo(f"{counted(len(error.faults), 'fault')}. Nothing was started.", err=True)
            ctx.exit(_exit_code(ctx, EXIT_WRONG))
        except MaintError as error:
            click.echo(f"maint: {error}", err=True)
            ctx.exit(_exit_code(ctx, EXIT_FAILED))


def _exit_code(ctx: click.Context, code: int) -> int:
    return EXIT_UNKNOWN if ctx.invoked_subcommand in COMMANDS else code


@click.group(cls=MaintGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="maint")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    envvar="MAINT_CONFIG",
    default=Path("maint.yaml"),
    show_default=True,
    help="The settings file (also MAINT_CONFIG).",
)
@click.pass_context
def main(ctx: click.Context, config: Path) -> None:
    """Maint runs a team's maintenance runbooks, from Slack and from here."""
    ctx.obj = config


@main.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path())
@click.option(
    "--admin", "admins", multiple=True, metavar="U…", help="A Slack user id that may do everything."
)
@click.option(
    "--channel", "channels", multiple=True, metavar="NAME=C…", help="A channel's id, and our name for it."
)
def init(folder: Path, admins: tuple[str, ...], channels: tuple[str, ...]) -> None:
    """Write a commented maint.yaml.

    It goes into FOLDER, never over an existing one.
    """
    from bot.starter import write_starter

    path = write_starter(folder, admins, channels)
    click.echo(f"Wrote {path}. Look through it, then: maint --config {path} check")


@main.command()
@click.option("--http", "public_url", metavar="URL", help="For signed HTTP requests to this public address.")
def manifest(public_url: str | None) -> None:
    """Print the Slack app's manifest (Socket Mode, or --http)."""
    from bot.slack.manifest import manifest_json

    if public_url is not None and not public_url.startswith("https://"):
        raise click.UsageError("Slack sends requests only to an address that starts with https://")
    click.echo(manifest_json(public_url))


@main.command()
@click.pass_obj
def check(config: Path) -> None:
    """Check maint.yaml and every runbook.

    Prints every fault with file, line and column; then what `maint runbooks lint` finds.
    """
    from bot.authoring import findings
    from bot.settings import load_settings

    loaded = load_settings(config, os.environ)
    settings = loaded.settings
    for finding in findings(loaded):
        if not finding.silenced:
            click.echo(finding)
    click.echo(
        f"{config}: fine. {counted(len(settings.targets), 'target')}, "
        f"{counted(len(settings.roles), 'role')}, {counted(len(loaded.runbooks), 'runbook')}."
    )
    for name, lacking in loaded.unfit.items():
        click.echo(f"The runbook {name} that ships cannot be run: {lacking}.")


@main.command()
@click.argument("targets", nargs=-1, metavar="[TARGET …]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
@click.pass_obj
def doctor(config: Path, targets: tuple[str, ...], as_json: bool) -> None:
    """Look whether everything that Maint needs is there.

    Slack's tokens and scopes, channels, usergroups, clocks, the database and the keys; with targets, whether
    the steps can do there what they are meant to: rights, programs, room. Nothing is changed.
    Ends with 0 when all is well, 1 when something is worth a look, 2 when Maint cannot work so.
    """
    from bot.doctor import doctor as run

    if not targets:
        sys.exit(run(config, os.environ, click.echo, as_json=as_json))
    from bot.examining import examine_targets

    look = partial(examine_targets, names=targets)
    sys.exit(run(config, os.environ, click.echo, as_json=as_json, look=look))


@main.command()
@click.option("--settings", "of", flag_value="settings", help="Of maint.yaml.")
@click.option("--tests", "of", flag_value="tests", help="Of the files of tests beside runbooks.")
@click.option("--markdown", "of", flag_value="markdown", help="No schema: every key of a runbook, as tables.")
def schema(of: str | None) -> None:
    """Print the JSON Schema of runbooks, for editors.

    With a first line `# yaml-language-server: $schema=…` in a file they complete and underline.
    """
    from bot.authoring import schema as made

    click.echo(made(of or "runbook"))


@main.command(name="runbooks lint")
@click.argument("names", nargs=-1, metavar="[NAME…]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
@click.pass_obj
def lint(config: Path, names: tuple[str, ...], as_json: bool) -> None:
    """Look for known traps in runbooks.

    Says what happens and what to do instead; ends with 1 when there is an error, with 0 when there are only
    warnings. `# maint: ignore RULE reason` in the line above silences one.
    """
    from bot.authoring import lint_runbooks

    sys.exit(lint_runbooks(config, os.environ, names, click.echo, as_json=as_json))


@main.command(name="runbooks test")
@click.argument("names", nargs=-1, metavar="[NAME…]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
@click.pass_obj
def rehearse(config: Path, names: tuple[str, ...], as_json: bool) -> None:
    """Run the tests that stand beside runbooks.

    They are in deploy.test.yaml beside deploy.yaml. Nothing is touched; ends with 1 when one fails.
    """
    from bot.authoring import run_tests

    sys.exit(run_tests(config, os.environ, names, click.echo, as_json=as_json))


@main.command()
@click.option("--harden", is_flag=True, help="On PostgreSQL: keep Maint's login from changing the audit log.")
@click.option("--role", metavar="NAME", help="With --harden: the role that is made for it, else maint_app.")
@click.pass_obj
def migrate(config: Path, harden: bool, role: str | None) -> None:
    """Bring the database up to date, and say what was done.

    With --harden also makes a role for the login of `maint serve`, and grants it what Maint does and nothing
    else: docs/database.md. Log in as the owner of the tables for it. Ends with 1 when a way around is left.
    """
    from bot.migrating import migrate_database
    from runbooks.records.grants import ROLE

    if role and not harden:
        raise click.UsageError("--role goes with --harden")
    sys.exit(migrate_database(config, os.environ, click.echo, (role or ROLE) if harden else None))


@main.command(name="audit key")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")
def audit_key(file: Path) -> None:
    """Make a key that signs the audit log.

    Writes it into FILE, which only you can read, and prints the public key. Where there is a key in FILE
    already, only that is done.
    """
    from bot.credentials import audit_key_file

    public = audit_key_file(file)
    click.echo(f"The public key, for `audit: public_keys:` of whoever verifies:\n{public}")
    click.echo(f"Maint signs with it when it finds MAINT_AUDIT_KEY_FILE={file.absolute()}")


@main.command(name="decrypt-backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True), metavar="FILE")
@click.argument("to", type=click.Path(path_type=Path, dir_okay=False), metavar="TO")
def decrypt_backup(file: Path, to: Path) -> None:
    """Decrypt a backup.

    Writes FILE in clear into TO: a dump for pg_restore, or a packed log. The key is in MAINT_BACKUP_KEY;
    neither settings nor a database are needed.
    """
    from bot.decrypting import decrypt_backup as run

    sys.exit(run(file, to, os.environ, click.echo))


@main.command()
@click.pass_obj
def serve(config: Path) -> None:
    """Connect to Slack and answer, until SIGTERM or Ctrl-C."""
    from bot.app import serve as run

    sys.exit(asyncio.run(run(config, os.environ)))


@main.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), help="The workspace's port; without it 8765, or a free one."
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the files here, to be started again; without it they are removed at the end.",
)
@click.option("--with-services", is_flag=True, help="Give the shop a PostgreSQL and a Redis of its own.")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
def demo(port: int | None, folder: Path | None, with_services: bool, no_browser: bool) -> None:
    """Try Maint in the browser.

    Starts a Slack workspace on this machine, and a shop to look after.
    """
    from bot.demo.demo import Options
    from bot.demo.demo import demo as run

    options = Options(port=port, folder=folder, with_services=with_services, browser=not no_browser)
    sys.exit(asyncio.run(run(options, click.echo)))


def _at_terminal(command: Command) -> click.Command:
    """A command of the registry as a sub-command here."""

    @click.command(
        name=command.word,
        help=f"{command.summary}.\n\n{command.about}",
        epilog="  ".join(f"maint {typed}: {effect}." for typed, effect in command.examples),
        # Options of the command's own are words here as in Slack: it says itself which there are.
        context_settings={"ignore_unknown_options": True},
    )
    @click.argument("words", nargs=-1, metavar=command.usage or "")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
    @click.option("--verbose", "-v", is_flag=True, help="Print the details too.")
    @click.pass_obj
    def run(config: Path, words: tuple[str, ...], as_json: bool, verbose: bool, detach: bool = False) -> None:
        from bot.at_terminal import run_at_terminal

        sys.exit(
            asyncio.run(
                run_at_terminal(
                    config,
                    os.environ,
                    (command.word, *words),
                    as_json=as_json,
                    verbose=verbose,
                    detach=detach,
                )
            )
        )

    if command.starts_runs:
        run = click.option("--detach", is_flag=True, help="Do not wait for the run's end.")(run)
    return run


for _command in COMMANDS.values():
    main.add_command(_at_terminal(_command))


if __name__ == "__main__":
    main()
