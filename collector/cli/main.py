"""The entry point of ``wef``: finds the command, runs it, turns what it raises into an exit code.

Exit codes are those of contract.md section 6 (sysexits): 64 usage, 65 bad input data,
69 a server cannot be reached, 73 cannot create, 74 input/output, 75 try later,
77 not permitted, 78 configuration.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import click

from collector.config.load import VARIABLE
from collector.errors import Backpressure, OperatorError
from collector.kernel import selection

COMMANDS: dict[str, tuple[str, str]] = {
    # name: (module of this room, one line for --help)
    "serve": ("serve", "Run the collector in the foreground."),
    "check": ("check", "Check settings, subscriptions, files and keys."),
    "demo": ("demo", "See it work: a collector and a simulated fleet on this machine."),
    "simulate": ("simulate", "Be a fleet of Windows sources that push to a collector."),
    "events": ("events", "Search and follow the events of the embedded store."),
    "sources": ("sources", "Which sources are there, and which are silent."),
    "subscriptions": ("subscriptions", "List, show and import subscriptions."),
    "bookmarks": ("bookmarks", "List and show the bookmarks of sources."),
    "sinks": ("sinks", "List the sinks and how their lanes stand."),
    "letters": ("letters", "Records that a sink rejected: list them, offer them again, throw them away."),
    "match": ("match", "Which sinks take an event, and why."),
    "setup": ("setup", "Make the topics or templates that the sinks need."),
    "normalize": ("normalize", "Turn event XML into documents."),
    "decode": ("decode", "Take a captured body apart, layer by layer."),
    "doctor": ("doctor", "Why sources do not come: keytabs, certificates, listeners, error codes."),
    "pull": ("pull", "Try whether events can be pulled from a machine."),
    "winrm": ("winrm", "Ask a Windows machine about its WinRM, as winrm does."),
    "gpo": ("gpo", "The group policy text for the Windows side."),
    "tls": ("tls", "Make a lab certificate authority with certificates."),
    "version": ("version", "Version, Python, kernel and engines."),
}
USAGE, STATE_FAILED = 64, 74


class _Commands(click.Group):
    """Loads a command's module when it is asked for, so that ``wef version`` stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command: click.Command = importlib.import_module(f"collector.cli.{entry[0]}").command
        command.short_help = entry[1]
        _take_config(command)
        return command


def _take_config(command: click.Command) -> None:
    """``--config`` is taken everywhere (contract.md 6), also where no settings are read."""
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            _take_config(inner)
    elif not any(parameter.name == "config" for parameter in command.params):
        command.params.append(click.Option(["--config"], expose_value=False, hidden=True))


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog='Shell completion: eval "$(_WEF_COMPLETE=bash_source wef)"; zsh_source and fish_source for the others.',
)
@click.option("--config", metavar="FILE", default=None, help="The settings; may also follow the command.")
def wef(config: str | None) -> None:
    """A Windows Event Forwarding collector for Linux that can say what it lost."""
    if config is not None:
        os.environ[VARIABLE] = config


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``wef`` and exit the process; the only place where exit codes are made."""
    selection.choose(pure=os.environ.get("WEF_KERNEL") == "pure")
    try:
        code = wef.main(list(arguments) if arguments is not None else None, prog_name="wef", standalone_mode=False)
    except OperatorError as error:
        for problem in error.problems:
            click.echo(problem, err=True)
        code = error.exit_code
    except Backpressure as error:  # the state: damaged, on a failing disk, locked for seconds
        click.echo(str(error), err=True)
        code = STATE_FAILED
    except click.UsageError as error:
        error.show()
        code = USAGE
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = 130
    except BrokenPipeError:  # somebody closed our output: wef ... | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code if isinstance(code, int) else 0)
