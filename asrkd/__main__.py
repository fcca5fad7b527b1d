from asrkd.cli.main import run

run()
