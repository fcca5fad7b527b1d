from asrkd.cli import run

run()
