"""The plain command line: parse, call, print. Commands import what they need themselves: `--help` is instant."""
