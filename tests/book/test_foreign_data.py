"""What code may do with data from elsewhere: nothing that runs it, fetches it unseen or unpacks it.

Ruff's rules S look for most of it (`make lint`); this file plants what they must find, and looks
for what they do not know: other loaders that run what they load, ways to the network beside
`src.book.storage.data`, archives that are unpacked instead of read, shell lines in chapters.
"""

import ast
import re
import subprocess
import sys
import zipfile

import pytest

from src.book.notebook import chapters
from src.book.site import finish
from src.common.graphs.public_sets import read_tu
from tests.conftest import REPOSITORY

FILES = sorted(
    file
    for folder in ("src", "papers_that_run", "chapters", "benchmarks")
    for file in (REPOSITORY / folder).rglob("*.py")
)
_CLIENTS = """
aiohttp asyncssh boto3 datasets fsspec ftplib gdown httpx huggingface_hub imaplib kaggle ogb
paramiko pooch poplib requests smtplib socket ssl telnetlib tensorflow_datasets transformers
urllib3 webbrowser websockets wget xmlrpc
"""
NETWORK = set(_CLIENTS.split())
# Parts of packages that download, and functions that do.
PARTS = {
    "http.client", "urllib.request", "scipy.datasets", "torch.hub", "torchaudio.datasets",
    "torchtext.datasets", "torchvision.datasets", "torch_geometric.datasets", "sacrebleu.utils",
}  # fmt: skip
CALLS = {"load_state_dict_from_url", "download_url_to_file", "urlopen", "urlretrieve", "get_model"}
PICKLES = {
    "_pickle",
    "cloudpickle",
    "dill",
    "joblib",
    "jsonpickle",
    "klepto",
    "marshal",
    "pickle",
    "shelve",
}
UNPACKING = {"extract", "extractall", "unpack_archive"}
# The one way to the network: pooch, and the type of the answer that its hook looks at.
ALLOWED = {("src/book/storage/download.py", module) for module in ("pooch", "requests")}


def findings(text):
    """Return what a module does that it must not."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [name for alias in node.names for name in _module(alias.name)]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found += _module(node.module) or [x for name in names for x in _module(name)]
            found += [name for name in names if re.fullmatch(r"sklearn\.datasets\.fetch_\w+", name)]
        elif isinstance(node, ast.Attribute):
            found += [p for p in PARTS if ast.unparse(node) == p]
        elif isinstance(node, ast.Call):
            found += _call(node)
    return found


def _module(name):
    first = name.split(".")[0]
    if first in NETWORK | PICKLES | {"tarfile"}:
        return [first]
    return [part for part in PARTS if name == part or name.startswith(f"{part}.")]


def _call(node):
    name = ast.unparse(node.func)
    last = name.split(".")[-1]
    given = {word.arg: ast.unparse(word.value) for word in node.keywords}
    if name in ("np.load", "numpy.load") and given.get("allow_pickle") != "False":
        return ["np.load without allow_pickle=False"]
    if name in ("torch.load", "torch.jit.load") and given.get("weights_only") != "True":
        return [f"{name} without weights_only=True"]
    known = CALLS | UNPACKING | {"read_pickle", "read_gpickle"}
    return [last] * (last in known or re.fullmatch(r"fetch_\w+", last) is not None)


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.relative_to(REPOSITORY).as_posix())
def test_no_module_runs_fetches_or_unpacks_foreign_data(file):
    place = file.relative_to(REPOSITORY).as_posix()
    text = file.read_text(encoding="utf-8")
    assert [what for what in findings(text) if (place, what) not in ALLOWED] == []
    assert not re.search(r"noqa:[^\n]*\bS\d", text), "a security rule is switched off"


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("import requests", "requests"),
        ("import urllib.request", "urllib.request"),
        ("from urllib import request", "urllib.request"),
        ("from urllib.request import urlopen", "urllib.request"),
        ("def f():\n    import pooch", "pooch"),
        ("import torch\ntorch.hub.load('a', 'b')", "torch.hub"),
        ("from torch.hub import load", "torch.hub"),
        ("load_state_dict_from_url('a')", "load_state_dict_from_url"),
        ("from torchvision import datasets", "torchvision.datasets"),
        ("from torch_geometric.datasets import Planetoid", "torch_geometric.datasets"),
        ("from sklearn.datasets import fetch_openml", "sklearn.datasets.fetch_openml"),
        ("import sklearn.datasets as d\nd.fetch_openml('a')", "fetch_openml"),
        ("import pickle", "pickle"),
        ("from joblib import load", "joblib"),
        ("import pandas as pd\npd.read_pickle('a')", "read_pickle"),
        ("np.load('a')", "np.load without allow_pickle=False"),
        ("np.load('a', allow_pickle=True)", "np.load without allow_pickle=False"),
        ("torch.load('a')", "torch.load without weights_only=True"),
        ("torch.load('a', weights_only=False)", "torch.load without weights_only=True"),
        ("import tarfile", "tarfile"),
        ("zipfile.ZipFile('a').extractall('b')", "extractall"),
        ("archive.extract('a')", "extract"),
        ("shutil.unpack_archive('a')", "unpack_archive"),
    ],
)
def test_each_of_them_would_be_found(line, what):
    assert what in findings(line)


def test_what_is_allowed_is_not_found():
    fine = "np.load('a', allow_pickle=False)\ntorch.load('a', weights_only=True)\n"
    fine += (
        "from sklearn.datasets import load_digits\nfrom urllib.parse import quote\nimport gzip\n"
    )
    assert findings(fine) == []


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        ("S102", "exec(text)"),
        ("S307", "eval(text)"),
        ("S301", "pickle.loads(text)"),
        ("S301", "pandas.read_pickle(text)"),
        ("S302", "marshal.loads(text)"),
        ("S506", "yaml.load(text)"),
        ("S506", "yaml.load(text, Loader=yaml.Loader)"),
        ("S602", "subprocess.run(text, shell=True)"),
        ("S605", "os.system(text)"),
        ("S605", "os.popen(text)"),
        ("S202", "tarfile.open(text).extractall()"),
        ("S310", "urllib.request.urlopen(text)"),
        ("S501", "requests.get(text, verify=False, timeout=1)"),
        ("S113", "requests.get(text)"),
    ],
)
@pytest.mark.parametrize(
    "place", ["src/gnn/a.py", "chapters/gnn/a.py", "tests/gnn/a.py", "benchmarks/a.py"]
)
def test_the_linter_has_the_rules(rule, line, place):
    modules = "import marshal, os, pandas, pickle, subprocess, tarfile, torch, urllib.request\n"
    modules += "import requests, yaml\ntext = input()\n"
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format", "concise"]
    command += ["--stdin-filename", place, "-"]
    done = subprocess.run(
        command, input=modules + line, cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert f": {rule} " in done.stdout, done.stdout + done.stderr


def test_chapters_hold_no_shell_lines():
    for chapter in chapters.select():
        for cell in chapter.notebook.cells:
            if cell.cell_type == "code":
                assert not re.search(r"^\s*[!%]|get_ipython\(", cell.source, re.M), chapter


# An archive of graphs whose members would leave the folder, if anybody unpacked it.
TEXTS = {"A": "1, 2\n3, 4\n", "graph_indicator": "1\n1\n2\n2\n", "graph_labels": "1\n2\n"}
LINK, DEVICE = 0o120777 << 16, 0o020666 << 16


def test_a_hostile_archive_is_read_and_nothing_is_written(tmp_path, monkeypatch):
    file = tmp_path / "inner/data/SET.zip"
    file.parent.mkdir(parents=True)
    outside = tmp_path / "outside"
    outside.mkdir()
    monkeypatch.chdir(file.parent)
    with zipfile.ZipFile(file, "w") as made:
        for mode, name in ((LINK, "link"), (DEVICE, "null"), (LINK, "SET/link")):
            member = zipfile.ZipInfo(name)
            member.create_system, member.external_attr = 3, mode
            made.writestr(member, str(outside))
        for name in ("../../hit", f"{outside}/hit", "link/hit", "a/../../../hit", "C:\\hit"):
            made.writestr(name, "hit")
        for part, text in TEXTS.items():
            made.writestr(f"../../outside/SET_{part}.txt", text)
    before = sorted(tmp_path.rglob("*"))
    assert [(graph.num_nodes, graph.num_edges) for graph in read_tu(file)] == [(2, 2), (2, 2)]
    assert sorted(tmp_path.rglob("*")) == before


def test_the_books_own_archive_stays_in_its_folder(tmp_path):
    site, secret = tmp_path / "site", tmp_path / "secret"
    (site / "a/b").mkdir(parents=True)
    (site / "index.html").write_text("a")
    (site / "a/b/c.txt").write_text("c")
    secret.write_text("s")
    (site / "link.txt").symlink_to(secret)
    with zipfile.ZipFile(finish.write_zip(site)) as made:
        names = {about.filename: about.external_attr >> 16 for about in made.infolist()}
    plain = 0o100644
    assert names == {
        "papers-that-run/index.html": plain,
        "papers-that-run/a/b/c.txt": plain,
    }
