"""`podium doctor`: what this host can do, and how to get what is missing."""

import sys

import click

from podium.cli.doctor import Finding, examine
from podium.cli.printer import Printer


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(*, as_json: bool) -> None:
    """Check what this host can do. Exits with 69 when something agents can't do without is missing."""
    printer = Printer(as_json=as_json)
    findings = examine()
    if as_json:
        printer.json([finding._asdict() for finding in findings])
    else:
        for finding in findings:
            _print(printer, finding)
    if any(finding.needed and not finding.good for finding in findings):
        sys.exit(69)


def _print(printer: Printer, finding: Finding) -> None:
    mark, colour = ("✓", "green") if finding.good else ("✗", "red") if finding.needed else ("–", "yellow")
    shown = click.style(mark, fg=colour) if printer.colours else mark
    printer.line(f"{shown} {finding.what.ljust(20)} {finding.found}")
    if not finding.good and finding.remedy:
        printer.line(f"  {' ' * 20} {printer.dim(finding.remedy)}")
