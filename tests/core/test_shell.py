"""Commands in messages: a shell must read exactly what was meant, and a message must stay one line."""

import ast
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import asrkd
from asrkd.commands.checks.findings import Findings
from asrkd.core import output_folder
from asrkd.core.errors import AsrkdError, QuarantineError, one_line, warn
from asrkd.core.shell import command, make_again, remove, remove_folder, then

SOURCES = sorted(Path(asrkd.__file__).parent.rglob("*.py"))

# Any text that can be an argument: no NUL, no surrogate but those that stand for a byte of a file's name.
WORDS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0")) | st.text(
    st.sampled_from(" -'\"\\!$`*?~#&|;<>(){}[]=%\n\r\t\x1b\x7f\x85\u2028\u202e\udc80\udcffaé漢")
)
NAMES = WORDS.map(lambda text: text.replace("/", "_") or "_").filter(lambda name: name not in (".", ".."))


def read_by_bash(text: str) -> list[bytes]:
    """The arguments that bash makes of a piece of a command line."""
    script = b"printf '%s\\0' " + text.encode("utf-8", "surrogateescape")
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True)
    return done.stdout.split(b"\0")[:-1]


@settings(max_examples=150, deadline=None)
@example(["-r", "my exp/data", "it's", "a\nb", "\x1b[2J", "$(reboot)", "!x\n", "\u202egpj.exe"])
@given(st.lists(WORDS, min_size=1, max_size=4))
def test_any_words_are_quoted_on_one_line_for_a_shell(words):
    written = command(*words)
    assert read_by_bash(written) == [word.encode("utf-8", "surrogateescape") for word in words]
    assert one_line(written) == written  # what prints a message changes nothing in it


@settings(max_examples=50, deadline=None)
@example("-rf")
@given(NAMES)
def test_a_path_is_never_taken_for_an_option(name):
    (argument,) = read_by_bash(command(Path(name)))
    assert not argument.startswith(b"-")
    assert argument.removeprefix(b"./") == name.encode("utf-8", "surrogateescape")


@pytest.mark.parametrize("name", ["my exp", "-x", "it's", "a\nb", "$HOME", "*", "~", "a;b", "\udcff"])
def test_remove_commands_remove_only_what_they_name(tmp_path, name):
    others = ["my", "exp", "x", "its", "a", "b", "home", "keep"]
    for folder in (name, *others):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "f").touch()
    run = then(remove(Path(name) / "f"), remove_folder(Path(name)), "touch keep/made")
    subprocess.run(["bash", "-c", run.encode("utf-8", "surrogateescape")], cwd=tmp_path, check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(others)
    assert (tmp_path / "keep/made").is_file()


def test_nothing_is_remade_if_the_removal_failed(tmp_path):
    line = make_again(tmp_path / "absent", "touch made").removeprefix("make it again: ")
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 1 and not (tmp_path / "made").exists()


def test_the_fix_for_other_options_removes_that_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = Path("my exp/data")
    for folder in (Path("my"), Path("exp/data"), Path("data")):
        folder.mkdir(parents=True)
    output_folder.claim(out, "record.json", {"bins": 80})
    with pytest.raises(AsrkdError) as error:
        output_folder.claim(out, "record.json", {"bins": 40})
    remedy = str(error.value).split("remove it: ")[1]
    subprocess.run(["bash", "-c", remedy], check=True)
    assert sorted(map(str, Path().rglob("*"))) == ["data", "exp", "exp/data", "my", "my exp"]


@given(st.text())
def test_messages_stay_one_line_whatever_an_id_holds(text):
    findings = Findings()
    findings.problem(f"cut {text}")
    findings.note(f"cut {text}")
    shown = [str(AsrkdError(f"cut {text}")), str(QuarantineError(text)), *findings.problems]
    for message in (*shown, *findings.notes):
        message.encode()  # no lone surrogate
        assert len(message.splitlines()) <= 1
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", message)
        assert one_line(message) == message


def test_what_is_escaped_can_be_read_and_what_need_not_be_stays(capsys):
    assert (
        str(AsrkdError("a\nb\t\x1b[2J\udcff: é 漢字\u3000\u200d"))
        == "a\\nb\\t\\x1b[2J\\udcff: é 漢字\u3000\u200d"
    )
    warn("my\nexp: unfinished")
    assert capsys.readouterr() == ("", "asrkd: my\\nexp: unfinished\n")


# A command, or an option that takes a path, right before something that is put in.
_VERBS = "prepare|train|distill|quantizer|targets|score|compare|report|check|selftest"
_PROGRAMS = rf"rm|mv|cp|touch|iconv|sudo|pip|lhotse \w+|torchrun|srun|sbatch|sctk|asrkd (?:{_VERBS})"
_SPLICED = re.compile(
    rf"(^|[\s(;&|])({_PROGRAMS})( [\w./=-]+)* $"
    r"|[^\s] --(out|cuts|teacher|quantizer|set|bundle|nproc_per_node|lm|ref|hyp|manifest)[ =]$"
)


def spliced_commands(source: str) -> list[int]:
    """Lines of strings in which something is put into a command by hand."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            parts = zip(node.values, node.values[1:], strict=False)
            before = [one.value for one, other in parts if isinstance(other, ast.FormattedValue)
                      and isinstance(one, ast.Constant)]  # fmt: skip
        elif isinstance(node, ast.BinOp) and isinstance(
            node.left, ast.Constant
        ):  # "rm " + path, "rm %s" % path
            before = [str(node.left.value).split("%")[0]]
        else:
            continue
        found += [node.lineno for text in before if _SPLICED.search(text)]
    return found


@pytest.mark.parametrize(
    "source",
    [
        'f"remove it: rm -r {out}"',
        'f"{out}: stale; rm {out}"',
        '"remove it: rm " + str(out)',
        '"rm -r %s" % out',
        'f"asrkd train CONFIG --out {path} --resume"',
        'f"make it with: asrkd score {folder} --cuts ..."',
        'f"torchrun --nproc_per_node {count}"',
        '(f"make it again: "\n f"rm -r {out}")',
    ],
)
def test_a_command_that_is_put_together_by_hand_is_found(source):
    assert spliced_commands(source)


def test_no_message_builds_its_command_by_hand():
    found = [
        f"{path}:{line}" for path in SOURCES if path.name != "shell.py"
        for line in spliced_commands(path.read_text())
    ]  # fmt: skip
    assert found == []
